import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { succeed } from './support/process.ts'
import { cannotRun } from './support/world.ts'

describe('npm run demo', {
  skip: cannotRun({ root: true, programs: ['mmdebstrap', 'dockerd', 'docker', 'runc', 'npm'] }),
}, () => {
  it('builds the example, serves it, and runs what a Docker engine pulled', async () => {
    const printed = await succeed('npm', ['run', 'demo'], {
      cwd: join(import.meta.dirname, '../..'),
      timeoutMs: 600_000,
    })
    assert.match(printed, /Hello from Debian GNU\/Linux 12 \(bookworm\), built and served by Slipway/)
    assert.match(printed, /What you would do next/)
  })
})
