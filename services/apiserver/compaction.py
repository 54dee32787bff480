"""The store's history is dropped regularly, or it would grow for ever.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/storage/etcd3/compact.go.
"""

import asyncio

from pybernetes.component.logs import get_logger
from pybernetes.machinery.errors import ApiError

from .etcd import Etcd

log = get_logger("compaction")


async def compact_regularly(etcd: Etcd, interval_s: float) -> None:
    """Drop, at every interval, what was history already at the one before; endless.

    So every revision can be listed and watched for one interval at least.
    """
    revision = 0
    while True:
        await asyncio.sleep(interval_s)
        try:
            if revision:
                await etcd.compact(revision)
                log.info("compacted", revision=revision)
            revision = await etcd.current_revision()
        except ApiError as error:
            log.warning("cannot compact the store", why=error.message)
