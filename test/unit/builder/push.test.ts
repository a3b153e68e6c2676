import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseReference } from '../../../src/oci/reference.ts'
import { openWorkshop } from './building.ts'
import { createRegistry } from './images/memory-registry.ts'

const PUSHED = [{ type: 'store', push: 'by-tag' }] as const
const BOTH = [
  { os: 'linux', architecture: 'amd64' },
  { os: 'linux', architecture: 'arm64' },
]

describe('a build that pushes', () => {
  it('sends all of an index to the registry of its name, and keeps it in the store', async () => {
    using workshop = await openWorkshop()
    const registry = createRegistry()
    workshop.remote = registry
    workshop.write('a', 'content')
    const result = await workshop.build('FROM scratch\nCOPY a /\n', {
      tag: 'host.test/team/app:1',
      platforms: BOTH,
      outputs: PUSHED,
    })
    const repository = registry.repository(parseReference('host.test/team/app'))
    const tag = parseReference('host.test/team/app:1').tag
    assert.ok(tag !== undefined)
    assert.equal((await repository.resolve(tag))?.digest, result.digest)
    for (const { digest } of result.images) assert.ok(registry.written.includes(digest))
    assert.equal(workshop.store.metadata.getTag('host.test/team/app' as never, tag)?.digest, result.digest)
  })

  it('gives no name when it pushes by digest', async () => {
    using workshop = await openWorkshop()
    const registry = createRegistry()
    workshop.remote = registry
    const result = await workshop.build('FROM scratch\n', {
      tag: 'host.test/app:1',
      outputs: [{ type: 'store', push: 'by-digest' }],
    })
    const reference = parseReference('host.test/app:1')
    assert.ok(registry.written.includes(result.digest) && reference.tag !== undefined)
    assert.equal(await registry.repository(reference).resolve(reference.tag), undefined)
  })

  it('refuses to push where no name says whereto, before anything is run', async () => {
    using workshop = await openWorkshop()
    for (const tag of [undefined, 'app:1'])
      await assert.rejects(
        workshop.build('FROM scratch\nRUN x\n', { ...(tag && { tag }), outputs: PUSHED }),
        { code: 'build-option-invalid', hint: /-t HOST\/NAME/ },
      )
    assert.equal(workshop.processes.length, 0)
  })

  it('tells what the registry said', async () => {
    using workshop = await openWorkshop()
    const registry = createRegistry()
    workshop.remote = registry
    registry.isDown = true
    await assert.rejects(workshop.build('FROM scratch\n', { tag: 'host.test/app:1', outputs: PUSHED }), {
      code: 'export-failed',
      message: 'Cannot push host.test/app:1: Cannot push: denied',
    })
  })
})
