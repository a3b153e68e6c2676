import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Metadata } from '../../../src/store/metadata.ts'
import { openRegistry, pushImage } from './client.ts'

describe('manifests while others push', async () => {
  const registry = await openRegistry()
  const { metadata } = registry.disk.store

  /** Another process acts right after our next look at a tag. */
  function afterNextLook(action: () => void): void {
    const { getTag } = metadata
    const patched: Pick<Metadata, 'getTag'> = {
      getTag(...args) {
        const record = getTag(...args)
        metadata.getTag = getTag
        action()
        return record
      },
    }
    Object.assign(metadata, patched)
  }

  for (const method of ['get', 'head'] as const)
    it(`end-3: ${method.toUpperCase()} by a tag finds it while it is pushed anew and what it meant is deleted`, async () => {
      const old = await pushImage(registry, 'app', 'v1', { annotations: { n: '1' } })
      const next = await pushImage(registry, 'app', 'v2', { annotations: { n: '2' } })
      const record = metadata.getManifest('app' as never, next.digest)
      assert.ok(record)
      afterNextLook(() => {
        metadata.putManifest('app' as never, record, ['v1' as never])
        metadata.deleteManifest('app' as never, old.digest)
      })
      await registry.http[method]('/v2/app/manifests/v1')
        .expect(200)
        .expect('Docker-Content-Digest', next.digest)
    })

  it('end-3: GET by a tag that is deleted meanwhile is 404', async () => {
    const { digest } = await pushImage(registry, 'app', 'gone')
    afterNextLook(() => metadata.deleteManifest('app' as never, digest))
    await registry.http.get('/v2/app/manifests/gone').expect(404)
  })
})
