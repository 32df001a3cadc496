# Each target creates the environment if it is missing.
PYTHON ?= python3
BIN := .venv/bin
DATA ?= watch
MODEL ?= relcon
SEED ?= 0
ARGS ?=
RUNS := runs/$(DATA)
# With four training people, more steps overfit. The default views rotate windows, but these exercises differ in orientation.
FOR_watch_relcon := steps.relcon=40 +augmentation@view=gentle

# The encoder that comes with the package was trained on none of these people.
WITH_watch := ,open-wrist-small

.DEFAULT_GOAL := help
.PHONY: help setup pretrain eval test lint docs bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: .venv/done ## create .venv with the pinned versions of constraints.txt

.venv/done: pyproject.toml constraints.txt
	@echo 'Making .venv: torch, Lightning and all else with the versions of constraints.txt. Some minutes, 2 to 6 GB.'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	@touch $@
	@echo 'Made .venv. The commands are in .venv/bin: source .venv/bin/activate'

data/$(DATA)/cohort.json: | .venv/done
	$(BIN)/relcon-prepare data=$(DATA)

pretrain: .venv/done data/$(DATA)/cohort.json ## train the motif distance, then MODEL (relcon), on DATA (watch)
	$(BIN)/relcon-pretrain model=distance data=$(DATA) seed=$(SEED) overwrite=true $(ARGS)
	$(BIN)/relcon-pretrain model=$(MODEL) data=$(DATA) seed=$(SEED) overwrite=true \
	  model.distance_checkpoint=$(RUNS)/distance/seed$(SEED) $(FOR_$(DATA)_$(MODEL)) $(ARGS)

eval: .venv/done ## evaluate the encoder of `make pretrain` and compare it with baselines
	@test -f $(RUNS)/$(MODEL)/seed$(SEED)/checkpoints/last.ckpt || $(MAKE) pretrain
	$(BIN)/relcon-eval 'checkpoint=[$(RUNS)/$(MODEL)/seed$(SEED)$(WITH_$(DATA))]' data=$(DATA)

test: .venv/done ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

lint: .venv/done ## check style, types, and which packages import which
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/done ## build the documentation in build/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --conf-dir docs . build/docs
	@echo 'Site: build/docs/index.html'

bench: .venv/done ## compare the speed of each part with a plain reference
	$(BIN)/python -m benchmarks.run

clean: ## remove the environment and caches, not data or runs
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
