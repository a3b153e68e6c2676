import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { OciError } from '../../../src/oci/errors.ts'
import { answerOf, isFault, RegistryError } from '../../../src/registry/errors.ts'
import { StoreError } from '../../../src/store/errors.ts'

function answered(error: unknown): { status: number; code: string; message: string; detail?: unknown } {
  const { status, body } = answerOf(error)
  return { status, ...JSON.parse(body.toString()).errors[0] }
}

describe('answerOf()', () => {
  it('gives the message and the detail of refusals', () => {
    const error = new RegistryError('manifest-blob-unknown', 'Cannot store manifest: no', {
      detail: { digests: ['x'] },
    })
    assert.deepEqual(answered(error), {
      status: 400,
      code: 'MANIFEST_BLOB_UNKNOWN',
      message: 'Cannot store manifest: no',
      detail: { digests: ['x'] },
    })
  })

  it('knows the codes of oci and of the store', () => {
    const rows: readonly (readonly [unknown, number, string])[] = [
      [new OciError('digest-mismatch', 'm'), 400, 'DIGEST_INVALID'],
      [new OciError('reference-invalid', 'm'), 400, 'NAME_INVALID'],
      [new OciError('manifest-invalid', 'm'), 400, 'MANIFEST_INVALID'],
      [new StoreError('ingest-unknown', 'm'), 404, 'BLOB_UPLOAD_UNKNOWN'],
      [new StoreError('ingest-busy', 'm'), 409, 'BLOB_UPLOAD_INVALID'],
      [new StoreError('store-busy', 'm'), 503, 'UNKNOWN'],
    ]
    for (const [error, status, code] of rows) {
      assert.equal(answered(error).status, status)
      assert.equal(answered(error).code, code)
    }
  })

  it('tells clients that the disk is full, but not where', () => {
    const { status, message } = answered(
      new StoreError('store-full', 'Cannot write /var/lib/slipway/ingest/1'),
    )
    assert.equal(status, 507)
    assert.match(message, /disk .* full/)
    assert.doesNotMatch(message, /var/)
  })

  it('answers 500 in general words to everything else', () => {
    const faults = [
      new Error('secret'),
      'secret',
      undefined,
      new StoreError('content-corrupt', 'secret', { detail: 'secret' }),
      new StoreError('store-denied', 'secret'),
      new RegistryError('content-corrupt', 'secret'),
      Object.assign(new Error('secret'), { statusCode: 404, code: 'blob-unknown' }),
    ]
    for (const fault of faults) {
      const answer = answered(fault)
      assert.equal(answer.status, 500)
      assert.doesNotMatch(JSON.stringify(answer), /secret/)
    }
  })
})

describe('isFault()', () => {
  it('tells faults of ours from refusals', () => {
    assert.equal(isFault(new Error('x')), true)
    assert.equal(isFault(new StoreError('store-full', 'x')), true)
    assert.equal(isFault(new RegistryError('blob-unknown', 'x')), false)
  })
})
