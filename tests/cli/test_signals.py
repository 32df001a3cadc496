"""SIGTERM to a command that has not begun to train, or does not train."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap


def run(program):
    start = """
        import os, signal, sys, time
        from relcon_lightning.cli.signals import end_on_sigterm
    """
    whole = textwrap.dedent(start) + textwrap.dedent(program)
    return subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, timeout=60, check=False)


def test_it_tidies_up_and_ends_with_the_code():
    done = run(
        """
        end_on_sigterm(75, "Stopped by a signal.")
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except Exception:  # of a library that tries again
            pass
        finally:
            print("tidied up")
        """
    )
    assert (done.returncode, done.stderr, done.stdout) == (75, "Stopped by a signal.\n", "tidied up\n")


def test_a_forked_process_ends_as_others_do_and_says_nothing():
    done = run(
        """
        end_on_sigterm(75, "Stopped by a signal.")
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        print(os.waitpid(child, 0)[1])
        """
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"{signal.SIGTERM.value}\n")


def test_who_listens_already_goes_on_doing_so():
    done = run(
        """
        signal.signal(signal.SIGTERM, lambda *_: print("mine"))
        end_on_sigterm(75, "Stopped by a signal.")
        os.kill(os.getpid(), signal.SIGTERM)
        """
    )
    assert (done.returncode, done.stdout) == (0, "mine\n")
