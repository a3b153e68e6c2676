import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Metadata } from '../../../src/store/metadata.ts'
import { binary, openRegistry, pushImage } from './client.ts'

describe('manifests while others push', async () => {
  const registry = await openRegistry()
  const { content, metadata } = registry.disk.store

  /** Another process acts right after our next look at a tag. */
  function afterNextLook(action: () => void): void {
    const { findManifest } = metadata
    const patched: Pick<Metadata, 'findManifest'> = {
      findManifest(...args) {
        const found = findManifest(...args)
        metadata.findManifest = findManifest
        action()
        return found
      },
    }
    Object.assign(metadata, patched)
  }

  it('end-3: GET by a tag finds it while it is pushed anew and what it meant is deleted', async () => {
    const old = await pushImage(registry, 'app', 'v1', { annotations: { n: '1' } })
    const next = await pushImage(registry, 'app', 'v2', { annotations: { n: '2' } })
    const record = metadata.getManifest('app' as never, next.digest)
    assert.ok(record)
    afterNextLook(() => {
      metadata.putManifest('app' as never, record, ['v1' as never])
      metadata.deleteManifest('app' as never, old.digest)
      void content.delete(old.digest)
    })
    await registry.http.get('/v2/app/manifests/v1').expect(200).expect('Docker-Content-Digest', next.digest)
  })

  it('end-3: GET by a tag that is deleted meanwhile, with what it meant, is 404', async () => {
    const { digest } = await pushImage(registry, 'app', 'gone')
    afterNextLook(() => {
      metadata.deleteManifest('app' as never, digest)
      void content.delete(digest)
    })
    await registry.http.get('/v2/app/manifests/gone').expect(404)
  })

  it('a manifest that was read whole is served from then on, whatever becomes of its file', async () => {
    const { digest, bytes } = await pushImage(registry, 'app', 'kept')
    await registry.http.get('/v2/app/manifests/kept').expect(200)
    registry.disk.damage(digest, Buffer.from('rotten'))
    const again = await registry.http.get('/v2/app/manifests/kept').buffer().parse(binary).expect(200)
    assert.deepEqual(again.body, bytes)
  })
})
