"""Forks workers over a large array: each reads its share and writes a part of it."""
import multiprocessing
from array import array

WORKERS = 4
ITEMS = 6 << 20  # of 8 bytes: 48 MiB
PAGE = 512  # items in a page

shared = array("q", bytes(8 * ITEMS))


def work(index, result):
    """Sums a share at eight places a page, then marks every fourth page of it."""
    share = range(index * ITEMS // WORKERS, (index + 1) * ITEMS // WORKERS)
    view = memoryview(shared)[share.start:share.stop]
    total = sum(view[:: PAGE // 8])
    for page in range(0, len(view), 4 * PAGE):
        view[page] = index + 1
    result.send(total + sum(view[::PAGE]))
    result.close()


def main():
    for page in range(0, ITEMS, PAGE):
        shared[page] = page
    fork = multiprocessing.get_context("fork")
    workers = []
    for index in range(WORKERS):
        receive, send = fork.Pipe(duplex=False)
        worker = fork.Process(target=work, args=(index, send))
        worker.start()
        send.close()
        workers.append((worker, receive))
    # The parent goes on writing while the workers read what was there when they were forked.
    for page in range(0, ITEMS, 16 * PAGE):
        shared[page] = -1
    print(sum(receive.recv() for _, receive in workers))
    for worker, _ in workers:
        worker.join()


main()
