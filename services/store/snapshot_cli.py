"""`pybernetes-store snapshot`: save, inspect and restore backups."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import grpc

from pybernetes.component.rpc_channel import dial
from pybernetes.component.tls import TlsFiles, tls_files
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc

from . import backups
from .backups import BrokenBackup, Restore
from .config import members
from .directory import WrongDirectory

PROGRAM = "pybernetes-store snapshot"
SAVE_S = 3_600.0
"""How long saving may take: an hour is much for what fits into memory."""


def main(argv: Sequence[str]) -> int:
    """Do one thing; return the exit code: 0 done, 1 not done, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        text: str = arguments.run(arguments)
    except (BrokenBackup, WrongDirectory, OSError, ValueError) as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    except grpc.RpcError as error:
        sys.stderr.write(f"{PROGRAM}: {arguments.endpoint}: {error.details()}\n")
        return 1
    sys.stdout.write(text + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Backups of the store.", allow_abbrev=False
    )
    commands = parser.add_subparsers(required=True, metavar="save | status | restore")
    save = commands.add_parser("save", help="save what a member knows to a file")
    save.add_argument("--endpoint", default="127.0.0.1:2379", help="a member")
    for name in ("ca", "cert", "key"):
        save.add_argument(f"--tls-{name}", type=Path, help="as the member's own flag")
    status = commands.add_parser("status", help="check a file, and say what it holds")
    status.add_argument("--json", action="store_true", help="for programs")
    restore = commands.add_parser("restore", help="make a member's data directory of a file")
    restore.add_argument("--name", required=True, help="the member")
    restore.add_argument("--initial-cluster", required=True, help="all members, as at their start")
    restore.add_argument("--data-dir", required=True, type=Path, help="made: must not exist")
    restore.add_argument("--initial-cluster-token", default="", help="of the new cluster")
    restore.add_argument("--tls", action="store_true", help="the members will have certificates")
    restore.add_argument("--bump-revision", type=int, default=0, help="go on so much later")
    restore.add_argument(
        "--mark-compacted", action="store_true", help="let whoever watched before read anew"
    )
    for command, run in ((save, _save), (status, _status), (restore, _restore)):
        command.add_argument("file", type=Path)
        command.set_defaults(run=run)
    return parser


def _save(arguments: argparse.Namespace) -> str:
    tls = tls_files(arguments.tls_ca, arguments.tls_cert, arguments.tls_key)
    scratch = arguments.file.with_name(arguments.file.name + ".part")
    asyncio.run(_download(arguments.endpoint, tls, scratch))
    found = backups.status(scratch)
    scratch.replace(arguments.file)
    return f"saved revision {found.revision}, {found.keys} keys, {found.bytes} bytes"


async def _download(endpoint: str, tls: TlsFiles | None, path: Path) -> None:
    async with dial(endpoint, tls) as channel:
        stub = rpc_pb2_grpc.MaintenanceStub(channel)
        with path.open("wb") as file:
            async for piece in stub.Snapshot(pb.SnapshotRequest(), timeout=SAVE_S):
                file.write(piece.blob)
            file.flush()
            os.fsync(file.fileno())


def _status(arguments: argparse.Namespace) -> str:
    found = backups.status(arguments.file)
    if arguments.json:
        return json.dumps(
            {
                "hash": found.hash,
                "revision": found.revision,
                "totalKey": found.keys,
                "totalSize": found.bytes,
            }
        )
    return f"{found.hash:08x}, {found.revision}, {found.keys}, {found.bytes} B"


def _restore(arguments: argparse.Namespace) -> str:
    known = members(arguments.initial_cluster.split(","))
    if arguments.name not in known:
        raise ValueError(f"--name: {arguments.name!r} is not in --initial-cluster")
    cluster = asyncio.run(
        backups.restore(
            arguments.file,
            Restore(
                name=arguments.name,
                members=known,
                data_dir=arguments.data_dir,
                is_tls=arguments.tls,
                token=arguments.initial_cluster_token,
                bump_revision=arguments.bump_revision,
                mark_compacted=arguments.mark_compacted,
            ),
        )
    )
    return f"restored {arguments.name} of cluster {cluster:x} to {arguments.data_dir}"
