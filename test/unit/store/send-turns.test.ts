import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createSendTurns } from '../../../src/store/send-turns.ts'

/** Runs to the next round of the event loop, like any request that has something to do. */
const nextRound = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

it('createSendTurns() gives one of many senders a turn each round of the event loop, in order', async () => {
  const turns = createSendTurns()
  const done: string[] = []
  const send = (name: string, times: number): void =>
    turns.take(() => {
      done.push(name)
      if (times > 1) send(name, times - 1)
    })
  for (const name of ['a', 'b', 'c']) send(name, 2)
  assert.deepEqual(done, [])
  const rounds: number[] = []
  while (done.length < 6) {
    await nextRound()
    rounds.push(done.length)
    assert.ok(rounds.length < 20)
  }
  assert.deepEqual(done, ['a', 'b', 'c', 'a', 'b', 'c'])
  for (const [index, count] of rounds.entries()) assert.ok(count - (rounds[index - 1] ?? 0) <= 1)
  send('late', 1)
  await nextRound()
  assert.equal(done.at(-1), 'late')
})
