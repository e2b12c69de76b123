"""Certificates, and a server that listens with TLS alone."""

import subprocess

from conftest import Server


def certificate(folder, name, issuer=None, subject_name="127.0.0.1"):
    """Makes NAME.crt and NAME.key, signed by `issuer` or by itself."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", f"/CN={name}",
               "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"]
    if issuer:
        command += ["-CA", folder / f"{issuer}.crt", "-CAkey", folder / f"{issuer}.key",
                    "-addext", "basicConstraints=critical,CA:FALSE",
                    "-addext", f"subjectAltName=IP:{subject_name}"]
    subprocess.run(command, check=True, capture_output=True)


class TlsServer(Server):
    """One that listens with TLS alone."""

    def connect(self, **options):
        return super().connect(ssl=True, ssl_ca_certs=str(self.dir.parent / "ca.crt"), **options)

    def command_line(self):
        line = super().command_line()
        line[line.index("--port") + 1] = "0"
        return line + ["--tls-port", str(self.port)]
