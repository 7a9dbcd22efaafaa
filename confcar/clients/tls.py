"""The certificate files of a server's `tls` options, as the context that connections are made with."""

from __future__ import annotations

import ssl
import threading
from contextlib import suppress

from confcar.clients.connections import TimedTlsSocket
from confcar.config.sources import TlsOptions


class CertificateFileError(OSError):
    """A certificate or key file cannot be read or makes no sense; the text names the files."""


class TlsFiles:
    """The TLS context made of the configured files, made anew when one of them changes. Thread-safe."""

    def __init__(self, options: TlsOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._marks: tuple[tuple[int, int, int], ...] | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection; the same one as long as no file changed.

        Raises:
            CertificateFileError: A file cannot be used. Worth a retry: files are replaced one after the other.
        """
        with self._lock:
            marks = self._current_marks()
            if self._context is None or marks != self._marks:
                self._context, self._marks = self._new_context(), marks
            return self._context

    def _current_marks(self) -> tuple[tuple[int, int, int], ...]:
        marks = []
        for path in (self._options.ca_file, self._options.cert_file, self._options.key_file):
            with suppress(OSError):
                if path is not None:
                    found = path.stat()
                    marks.append((found.st_ino, found.st_mtime_ns, found.st_size))
        return tuple(marks)

    def _new_context(self) -> ssl.SSLContext:
        tls = self._options
        try:
            context = ssl.create_default_context(cafile=str(tls.ca_file) if tls.ca_file else None)
        except OSError as error:
            raise CertificateFileError(f"cannot use ca_file {tls.ca_file}: {words_of(error)}") from error
        context.sslsocket_class = TimedTlsSocket
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.cert_file is not None:
            try:
                # Without a callback OpenSSL would ask for the key's passphrase on the terminal.
                context.load_cert_chain(tls.cert_file, tls.key_file, password="")
            except OSError as error:
                files = f"cert_file {tls.cert_file}" + (f", key_file {tls.key_file}" if tls.key_file else "")
                raise CertificateFileError(f"cannot use {files}: {words_of(error)}") from error
        return context


def words_of(error: OSError) -> str:
    """Return what a TLS or file error says, for people, without the library's decoration."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{error.reason or 'certificate verify failed'}: {error.verify_message}"
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)
