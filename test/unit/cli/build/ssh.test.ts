import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseSsh } from '../../../../src/cli/build/ssh.ts'

describe('parseSsh()', () => {
  let folder: string
  const server = createServer()
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slipway-ssh-'))
    server.listen(join(folder, 'agent'))
    await once(server, 'listening')
    for (const name of ['one', 'two']) writeFileSync(join(folder, name), 'key')
  })
  after(() => {
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const parse = (given: readonly string[], SSH_AUTH_SOCK?: string) =>
    Object.fromEntries(parseSsh(given, { env: { SSH_AUTH_SOCK }, workingDirectory: folder }))

  it('takes the agent of the environment, another one, or keys', () => {
    const agent = { kind: 'socket', path: join(folder, 'agent') }
    assert.deepEqual(parse(['default', 'a=agent', 'b=one,two'], agent.path), {
      default: agent,
      a: agent,
      b: { kind: 'keys', paths: [join(folder, 'one'), join(folder, 'two')] },
    })
    assert.deepEqual(parse([]), {})
  })

  for (const [given, problem] of [
    [['default'], /SSH_AUTH_SOCK names no agent/],
    [['=one'], /has no id/],
    [['a=one', 'a=two'], /there is another a/],
    [['a=agent,one'], /an agent stands alone/],
    [['a=none'], /there is no .*none/],
  ] as const)
    it(`refuses ${given.join(' ')}`, () =>
      assert.throws(() => parse(given), { code: 'usage', message: problem }))
})
