import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type OpenMounts, type OpenMountsDeps, openMounts } from '../../../../src/builder/ops/run-mounts.ts'
import type { SecretDefinition } from '../../../../src/builder/plan/op-definition.ts'

const HUSH: SecretDefinition = {
  kind: 'secret',
  target: '/run/secrets/hush',
  isFile: true,
  env: 'HUSH',
  id: 'hush',
  required: false,
  mode: 0o400,
  uid: 0,
  gid: 0,
}

const CONTEXT = {
  signal: new AbortController().signal,
  output: () => undefined,
  status: () => undefined,
}

/** Nothing but secrets is asked for here. */
function open(definition: SecretDefinition, secret: Uint8Array | undefined): Promise<OpenMounts> {
  const deps = { readSecret: async () => secret } as unknown as OpenMountsDeps
  return openMounts([definition], [], deps, CONTEXT)
}

describe('openMounts()', () => {
  it('semantics 67: a secret is a file and a variable', async () => {
    await using opened = await open(HUSH, Buffer.from('text'))
    assert.deepEqual(opened.env, ['HUSH=text'])
    assert.deepEqual(
      opened.mounts.map(({ target }) => target),
      ['/run/secrets/hush'],
    )
  })

  it('semantics 67: of a secret that nobody gave the variable is empty, and there is no file', async () => {
    await using opened = await open(HUSH, undefined)
    assert.deepEqual([opened.env, opened.mounts], [['HUSH='], []])
  })

  it('semantics 67: a secret that is required must be given', async () => {
    await assert.rejects(open({ ...HUSH, required: true }, undefined), { code: 'source-missing' })
  })
})
