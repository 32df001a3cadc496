"""The directive ``command-help``: the text of a command's ``--help`` as prose and code blocks."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from relcon_lightning.cli.app import config_folder
from relcon_lightning.cli.usage import help_text


def markdown(text: str) -> str:
    """Paragraphs that are indented become code blocks; a line such as ``Values:`` becomes a bold line."""
    blocks = []
    for block in re.split(r"\n\s*\n(?=\S)|(?<=\S)\n\s*\n(?=  )", text.strip("\n")):
        if block.startswith("  "):
            language = "bash" if block.startswith("  relcon-") else "yaml"
            language = "text" if re.match(r"  \w+ {2,}", block) else language
            if language == "bash":  # so that a line can be pasted with its explanation
                block = re.sub(r"(?<=\S)( {4,})(?=\S)", r"\1# ", block)
            blocks.append(f"```{language}\n{re.sub('^  ', '', block, flags=re.M)}\n```")
        else:
            blocks.append(f"**{block.removesuffix(':')}**" if re.fullmatch(r"[^\n]+:", block) else block)
    return "\n\n".join(blocks)


class CommandHelp(SphinxDirective):
    """``command-help`` with the name of a file of ``conf/`` as its argument."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The nodes of the help."""
        self.env.note_dependency(f"{config_folder()}/{self.arguments[0]}.yaml")
        return self.parse_text_to_nodes(markdown(help_text(config_folder(), self.arguments[0])))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
