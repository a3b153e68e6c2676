import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { after } from 'node:test'
import supertest from 'supertest'
import { type Digest, type DigestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { MEDIA_TYPE } from '../../../src/oci/media-type.ts'
import { createRegistryApp, type RegistryAppDeps } from '../../../src/registry/app.ts'
import { createRepositoryStore } from '../../../src/registry/store-repositories.ts'
import { openTestStore, type TestStore } from './support.ts'

export interface TestRegistry {
  readonly http: ReturnType<typeof supertest>
  readonly disk: TestStore
  readonly port: number
  /** Causes of 500s. */
  readonly faults: unknown[]
}

export interface TestRegistryOptions {
  /** Of another registry, to be the second process over it. */
  readonly disk?: TestStore
  /** Further parts of the app. */
  readonly app?: Partial<RegistryAppDeps>
}

/** A registry on a free port, closed after the tests of the file. Faults that no test expects fail its close. */
export async function openRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const disk = options.disk ?? (await openTestStore())
  const faults: unknown[] = []
  const app = createRegistryApp({
    repositories: createRepositoryStore({ store: disk.store }),
    log: { failed: (_request, cause) => faults.push(cause) },
    ...options.app,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  after(async () => {
    app.server.closeAllConnections()
    await app.close()
    if (options.disk === undefined) disk.remove()
    assert.deepEqual(faults, [])
  })
  return { http: supertest(url), disk, port: Number(new URL(url).port), faults }
}

/** Bytes as sent, whatever their type. */
export function binary(response: unknown, done: (error: Error | null, body: Buffer) => void): void {
  const chunks: Buffer[] = []
  const message = response as IncomingMessage
  message.on('data', chunk => chunks.push(Buffer.from(chunk)))
  message.on('end', () => done(null, Buffer.concat(chunks)))
}

export async function pushBlob(
  { http }: TestRegistry,
  name: string,
  content: string | Buffer,
  algorithm: DigestAlgorithm = 'sha256',
): Promise<Digest> {
  const bytes = Buffer.from(content)
  const digest = digestOf(bytes, algorithm)
  await http
    .post(`/v2/${name}/blobs/uploads/?digest=${digest}`)
    .type('application/octet-stream')
    .send(bytes)
    .expect(201)
  return digest
}

export interface TestImage {
  readonly bytes: Buffer
  readonly digest: Digest
  readonly config: Digest
  readonly layer: Digest
}

/** Pushes the blobs of a small image, and makes its manifest. */
export async function prepareImage(
  registry: TestRegistry,
  name: string,
  extra: Record<string, unknown> = {},
): Promise<TestImage> {
  const config = await pushBlob(registry, name, '{"os":"linux"}')
  const layer = await pushBlob(registry, name, 'layer')
  const bytes = manifestBytes({
    config: { mediaType: MEDIA_TYPE.ociConfig, digest: config, size: 14 },
    layers: [{ mediaType: MEDIA_TYPE.ociLayerGzip, digest: layer, size: 5 }],
    ...extra,
  })
  return { bytes, digest: digestOf(bytes), config, layer }
}

export async function pushImage(
  registry: TestRegistry,
  name: string,
  reference: string,
  extra?: Record<string, unknown>,
): Promise<TestImage> {
  const image = await prepareImage(registry, name, extra)
  await registry.http
    .put(`/v2/${name}/manifests/${reference}`)
    .type(MEDIA_TYPE.ociManifest)
    .send(String(image.bytes))
    .expect(201)
  return image
}

/** With odd spacing, so that a server that serializes again is found out. */
export function manifestBytes(fields: Record<string, unknown>): Buffer {
  return Buffer.from(
    `${JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPE.ociManifest, ...fields }, null, 3)}\n`,
  )
}

/** For `.expect`: an error body of the specification with this code. */
export function isError(code: string): (response: supertest.Response) => void {
  return response => {
    assert.equal(response.headers['content-type'], 'application/json')
    assert.equal(response.body.errors.length, 1)
    assert.equal(response.body.errors[0].code, code)
    assert.ok(response.body.errors[0].message.length > 10)
  }
}
