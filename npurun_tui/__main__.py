"""`python -m npurun_tui` is the same program as the `npurun-tui` script."""

from npurun_tui.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
