"""Groups of the workers of a Dask cluster."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ..exceptions import WorkerLostError
from .groups import group, rank

__all__ = ["run_on_dask"]

Result = TypeVar("Result")

#: Seconds after which it is seen that a worker has left the cluster.
_PATIENCE = 1.0


def run_on_dask(
    client: Any,
    task: Callable[[], Result],
    *,
    timeout: float = 600.0,
    max_restarts: int = 0,
) -> Result:
    """Call a function on all workers of a Dask cluster, in a group of theirs.

    Each worker calls ``task`` inside of `group`. Dask only starts the calls: the
    workers send the messages of a fit to each other.

    Parameters
    ----------
    client : distributed.Client
        Client of a cluster whose workers are processes.
    task : callable
        Function without arguments, such as ``lambda: model.fit(frame, "click")``. Dask
        has to be able to pickle it.
    timeout : float, default=600.0
        Seconds after which a worker that does not answer is given up; see `group`.
    max_restarts : int, default=0
        How often the task is started again after a worker was lost, by the workers that
        the cluster has then. A fit with ``checkpoint`` goes on after its last epoch.

    Returns
    -------
    object
        The result of the first worker.

    Raises
    ------
    skfm.exceptions.WorkerLostError
        If a worker ends or does not answer, ``max_restarts`` + 1 times.
    ValueError
        If several workers are threads of one process.

    Examples
    --------
    >>> from skfm import FMClassifier
    >>> from skfm.distributed import run_on_dask
    >>> model = FMClassifier(random_state=0, checkpoint="/shared/ck")
    >>> model = run_on_dask(
    ...     client, lambda: model.fit(frame, "click"), max_restarts=3
    ... )  # doctest: +SKIP
    """
    for _ in range(max_restarts):
        try:
            return _run_once(client, task, timeout)
        except WorkerLostError:
            client.wait_for_workers(1)
    return _run_once(client, task, timeout)


def _run_once(client: Any, task: Callable[[], Result], timeout: float) -> Result:
    """Call the task on the workers that the cluster has now."""
    places = client.run(_place)
    addresses = sorted(places)
    processes = [places[address][:2] for address in addresses]
    if len(set(processes)) < len(processes):
        raise ValueError(
            "Several workers of the Dask cluster are threads of one process, but each "
            "worker of a group is a process: start the cluster with processes=True."
        )
    host, _, port = places[addresses[0]]
    futures = [
        client.submit(
            *(_call, task, number, len(addresses), host, port, timeout),
            workers=[address],
            pure=False,
        )
        for number, address in enumerate(addresses)
    ]
    try:
        _wait(client, futures, addresses)
        result: Result = futures[0].result()
        return result
    finally:
        client.cancel(futures)


def _wait(client: Any, futures: list[Any], addresses: list[str]) -> None:
    """Wait for all calls, and raise the error of one that fails.

    The others are waited for as well, because a worker can be in one group at a time.
    """
    error: BaseException | None = None
    waiting = dict(zip(addresses, futures, strict=True))
    while waiting:
        _sleep(client, list(waiting.values()))
        here = client.nthreads()
        for address, future in list(waiting.items()):
            if future.done():
                del waiting[address]
                found = future.exception() if future.status == "error" else None
                # What a worker has raised says more than that others have lost it.
                if error is None or isinstance(error, WorkerLostError):
                    error = found or error
            elif address not in here:
                del waiting[address]
                error = error or WorkerLostError(
                    f"The worker {address} has left the Dask cluster. With checkpoint "
                    "and max_restarts, a fit goes on after its last epoch."
                )
    if error is not None:
        raise error


def _sleep(client: Any, futures: list[Any]) -> None:
    """Wait until one of the calls has ended, or a worker may have left."""
    import distributed

    try:
        distributed.wait(futures, timeout=_PATIENCE, return_when="FIRST_COMPLETED")
    except TimeoutError:
        return


def _place(dask_worker: Any) -> tuple[str, int, int]:
    """Return the host and the process of a Dask worker, and a free port."""
    host = dask_worker.address.rpartition("://")[2].rpartition(":")[0]
    with socket.socket() as free:
        free.bind(("", 0))
        return host, os.getpid(), free.getsockname()[1]


def _call(
    task: Callable[[], Result],
    number: int,
    size: int,
    host: str,
    port: int,
    timeout: float,
) -> Result | None:
    """Call the task in the group, and return the result of the first worker."""
    import distributed

    # Others may compute partitions on this worker meanwhile.
    distributed.secede()
    place = {"MASTER_ADDR": host, "MASTER_PORT": str(port)}
    with (
        _variables(RANK=str(number), WORLD_SIZE=str(size), **place),
        group(timeout=timeout),
    ):
        result = task()
        return result if rank() == 0 else None


@contextmanager
def _variables(**told: str) -> Iterator[None]:
    """Set variables of the environment, as a launcher does, for a while."""
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
