"""Which certificates are trusted: the system's, `SSL_CERT_FILE`'s, or the bundle that pip is configured with."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

from npurun_tui.errors import NetworkUnavailable
from npurun_tui.text import one_line


def tls_context(certificates: Path | None) -> ssl.SSLContext:
    """A verifying context. Reads the certificates: blocking, some 20 ms.

    Raises:
        NetworkUnavailable: `certificates`, or what SSL_CERT_FILE names, is no readable bundle.
    """
    try:
        if certificates is not None:
            folder = certificates if certificates.is_dir() else None
            file = None if folder else certificates
            return ssl.create_default_context(cafile=file, capath=folder)
        context = ssl.create_default_context()
    except (OSError, ssl.SSLError) as error:
        name = certificates or os.environ.get("SSL_CERT_FILE", "")
        raise NetworkUnavailable(
            f"The certificates in {one_line(str(name), 300)} cannot be read: {error}.",
            mend="pip's `cert` setting and SSL_CERT_FILE name them.",
        ) from error
    if _trusts_nothing(context):
        import certifi  # httpx brings it; a Python that was built for another system finds none of its own

        context.load_verify_locations(certifi.where())
    return context


def _trusts_nothing(context: ssl.SSLContext) -> bool:
    """Nothing was loaded, and no folder is there from which certificates would be loaded when needed."""
    if sys.platform == "win32" or context.cert_store_stats()["x509_ca"]:
        return False
    folder = ssl.get_default_verify_paths().capath
    return folder is None or not any(Path(folder).iterdir())
