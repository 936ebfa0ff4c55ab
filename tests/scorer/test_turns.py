"""Long work on the event loop: one piece a turn, and nobody is forgotten."""

from __future__ import annotations

import asyncio

from scorer.turns import Turns


def test_each_piece_has_a_turn_of_its_own_in_the_order_of_asking() -> None:
    pieces, turns = asyncio.run(_turns_of(Turns(), pieces=5))
    assert pieces == [0, 1, 2, 3, 4]
    assert turns == sorted(set(turns))


def test_a_turn_is_free_again_when_nobody_waits() -> None:
    async def twice() -> list[list[int]]:
        turns = Turns()
        return [(await _turns_of(turns, pieces=3))[1] for _ in range(2)]

    first, second = asyncio.run(twice())
    assert first == second == sorted(set(first))


def test_who_gives_up_holds_up_nobody() -> None:
    async def leave() -> list[str]:
        turns = Turns()
        done: list[str] = []

        async def work(name: str) -> None:
            await turns.take()
            done.append(name)

        tasks = [asyncio.create_task(work(name)) for name in "abcd"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.wait(tasks)
        await work("e")
        return done

    assert asyncio.run(leave()) == ["a", "d", "e"]


async def _turns_of(turns: Turns, *, pieces: int) -> tuple[list[int], list[int]]:
    """Return which pieces were done, and in which turn of the loop each, counted from that of the first."""
    loop = asyncio.get_running_loop()
    now = 0
    done: list[tuple[int, int]] = []

    def tick() -> None:
        nonlocal now
        now += 1
        if len(done) < pieces:
            loop.call_soon(tick)

    async def work(piece: int) -> None:
        await turns.take()
        done.append((piece, now))

    tasks = [asyncio.create_task(work(piece)) for piece in range(pieces)]
    loop.call_soon(tick)
    await asyncio.gather(*tasks)
    return [piece for piece, _ in done], [turn - done[0][1] for _, turn in done]
