/**
 * Clients that push, pull and delete at random, over three `serve` processes and one store, while garbage is collected
 * all the time and the processes are killed and started again. Each client knows what was acknowledged to it, and looks
 * whether it is there. Seeded: `SLIPWAY_SOAK_SEED`; `SLIPWAY_SOAK_SECONDS` says how long (30).
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { digestOf } from '../../src/oci/digest.ts'
import { type Served, type Slipway, slipwayAt } from './support/slipway.ts'

const SECONDS = Number(process.env.SLIPWAY_SOAK_SECONDS ?? 30)
const SEED = Number(process.env.SLIPWAY_SOAK_SEED ?? 1)
/** Longer than a machine with too much to do takes between two requests of an upload. */
const GRACE = '15s'
const SERVERS = 3
const CLIENTS = 4
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const EMPTY = Buffer.from('{}')

type Random = (below: number) => number

function randomFrom(seed: number): Random {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let word = Math.imul(state ^ (state >>> 15), state | 1)
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61)
    return Math.floor((((word ^ (word >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

/** What a client counts on: a manifest with all that it needs. */
interface Image extends Descriptor {
  readonly bytes: Buffer
  readonly blobs: readonly Descriptor[]
  readonly children: readonly Image[]
}

/** A server was killed under the request: it was done, or it was not. */
class Cut extends Error {}

class Client {
  readonly #hosts: () => readonly string[]
  readonly #random: Random
  readonly #name: string
  /** What each tag may point at; several where an answer was cut off. */
  readonly #tags = new Map<string, Set<Image | undefined>>()
  readonly #referrers = new Map<string, Set<string>>()
  readonly counts = { push: 0, pull: 0, remove: 0, refer: 0, list: 0, cut: 0, again: 0 }

  constructor(name: string, hosts: () => readonly string[], random: Random) {
    this.#name = name
    this.#hosts = hosts
    this.#random = random
  }

  async step(): Promise<void> {
    const what = this.#random(10)
    try {
      if (what < 4) await this.#pushTag()
      else if (what < 6) await this.#check(this.#anyTag())
      else if (what < 8) await this.#remove()
      else if (what < 9) await this.#refer()
      else await this.#checkList()
    } catch (error) {
      if (!(error instanceof Cut)) throw error
      this.counts.cut++
      await sleep(50)
    }
  }

  async checkAll(): Promise<void> {
    for (const tag of this.#tags.keys()) await this.#check(tag)
    await this.#checkList()
    for (const subject of this.#referrers.keys()) await this.#checkReferrers(subject)
  }

  #anyTag(): string {
    return `tag-${this.#random(8)}`
  }

  async #pushTag(): Promise<void> {
    const tag = this.#anyTag()
    const image =
      this.#random(3) === 0
        ? await this.#whole(() => this.#pushIndex(tag))
        : await this.#whole(() => this.#pushImage(tag))
    this.counts.push++
    this.#set(tag, image)
  }

  /** Notes what may come before it is asked for, so that a cut answer leaves both possible. */
  async #putTagged(tag: string, image: Image): Promise<void> {
    const before = this.#tags.get(tag) ?? new Set([undefined])
    this.#tags.set(tag, new Set([...before, image]))
    for (const old of before) if (old !== undefined) this.#referrers.delete(old.digest)
    await this.#putManifest(tag, image)
  }

  #set(tag: string, image: Image | undefined): void {
    this.#tags.set(tag, new Set([image]))
  }

  /**
   * The grace is very short here: content that was only asked for, and uploads that wait for a server, may be collected
   * before they are used. A client then begins again.
   */
  async #whole(push: () => Promise<Image>): Promise<Image> {
    for (let tries = 0; ; tries++) {
      try {
        return await push()
      } catch (error) {
        if (
          !(error instanceof assert.AssertionError) ||
          !/BLOB_UNKNOWN|BLOB_UPLOAD_UNKNOWN/.test(error.message) ||
          tries === 5
        )
          throw error
        this.counts.again++
      }
    }
  }

  async #pushImage(tag: string | undefined, subject?: Image): Promise<Image> {
    const layers: Descriptor[] = []
    for (let count = 1 + this.#random(3); count > 0; count--) layers.push(await this.#pushLayer())
    const config = await this.#pushBlob(EMPTY, 'application/vnd.oci.empty.v1+json')
    const document = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      ...(subject && { artifactType: 'application/vnd.example.soak' }),
      config,
      layers,
      ...(subject && {
        subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
      }),
      annotations: { number: String(this.#random(1_000_000)) },
    }
    return this.#put(tag, document, [config, ...layers], [])
  }

  async #pushIndex(tag: string): Promise<Image> {
    const children = [await this.#pushImage(undefined), await this.#pushImage(undefined)]
    const manifests = children.map(({ mediaType, digest, size }) => ({ mediaType, digest, size }))
    return this.#put(tag, { schemaVersion: 2, mediaType: INDEX, manifests }, [], children)
  }

  async #put(
    tag: string | undefined,
    document: { readonly mediaType: string; readonly [key: string]: unknown },
    blobs: readonly Descriptor[],
    children: readonly Image[],
  ): Promise<Image> {
    const bytes = Buffer.from(JSON.stringify(document))
    const { mediaType } = document
    const image = { mediaType, digest: digestOf(bytes), size: bytes.length, bytes, blobs, children }
    if (tag === undefined) await this.#putManifest(image.digest, image)
    else await this.#putTagged(tag, image)
    return image
  }

  async #putManifest(reference: string, { bytes, mediaType }: Image): Promise<void> {
    const headers = { 'content-type': mediaType }
    await this.#ask('PUT', `manifests/${reference}`, 201, { body: bytes, headers })
  }

  /** One of few, so that images share them. */
  #pushLayer(): Promise<Descriptor> {
    const random = randomFrom(this.#random(40))
    const bytes = Buffer.alloc(1000 + random(60_000))
    for (let at = 0; at < bytes.length; at += 1 + random(50)) bytes[at] = random(256)
    return this.#pushBlob(bytes, 'application/vnd.oci.image.layer.v1.tar')
  }

  /** In two chunks, each by whichever process answers; after a cut it goes on where the upload is. */
  async #pushBlob(bytes: Buffer, mediaType: string): Promise<Descriptor> {
    const digest = digestOf(bytes)
    const descriptor = { mediaType, digest, size: bytes.length }
    if ((await this.#ask('HEAD', `blobs/${digest}`, [200, 404])).status === 200) return descriptor
    const begun = await this.#ask('POST', 'blobs/uploads/', 202)
    const upload = begun.headers.get('location')?.split(`/${this.#name}/`)[1] ?? ''
    const middle = this.#random(bytes.length)
    for (const end of [middle, bytes.length]) await this.#sendUpTo(upload, bytes, end)
    await this.#ask('PUT', `${upload}?digest=${digest}`, 201)
    return descriptor
  }

  async #sendUpTo(upload: string, bytes: Buffer, end: number): Promise<void> {
    let offset = await this.#offset(upload)
    while (offset < end) {
      const headers = { 'content-range': `${offset}-${end - 1}`, 'content-type': 'application/octet-stream' }
      let isTold = false
      try {
        const body = bytes.subarray(offset, end)
        const { status } = await this.#ask('PATCH', upload, [202, 409, 416], { body, headers })
        isTold = offset === 0 && status !== 409
      } catch (error) {
        if (!(error instanceof Cut)) throw error
        this.counts.cut++
        await sleep(100)
      }
      // 0-0 is both nothing and one byte. A chunk from 0 that was taken, or was not the next one, tells which.
      offset = Math.max(await this.#offset(upload), isTold ? 1 : 0)
    }
  }

  /** Where an upload goes on; 0 also for 1. */
  async #offset(upload: string): Promise<number> {
    const status = await this.#ask('GET', upload, 204)
    const last = Number(/^0-(\d+)$/.exec(status.headers.get('range') ?? '')?.[1])
    return last === 0 ? 0 : last + 1
  }

  async #remove(): Promise<void> {
    const tag = this.#anyTag()
    const [image] = this.#tags.get(tag) ?? []
    const isWhole = this.#random(3) === 0 && image !== undefined && this.#tags.get(tag)?.size === 1
    const gone = isWhole
      ? [...this.#tags]
          .filter(([, images]) => [...images].some(one => one?.digest === image.digest))
          .map(([name]) => name)
      : [tag]
    for (const name of gone) {
      const before = this.#tags.get(name) ?? new Set([undefined])
      for (const old of before) if (old !== undefined) this.#referrers.delete(old.digest)
      this.#tags.set(name, new Set([...before, undefined]))
    }
    await this.#ask('DELETE', `manifests/${isWhole ? image.digest : tag}`, [202, 404])
    for (const name of gone) if (isWhole ? this.#tags.get(name)?.size === 2 : true) this.#set(name, undefined)
    this.counts.remove++
  }

  async #refer(): Promise<void> {
    const tag = this.#anyTag()
    const images = this.#tags.get(tag)
    const [subject] = images ?? []
    if (subject === undefined || images?.size !== 1) return
    const referrer = await this.#whole(() => this.#pushImage(undefined, subject))
    const known = this.#referrers.get(subject.digest) ?? new Set()
    this.#referrers.set(subject.digest, known.add(referrer.digest))
    await this.#checkReferrers(subject.digest)
    this.counts.refer++
  }

  async #checkReferrers(subject: string): Promise<void> {
    const answer = await this.#ask('GET', `referrers/${subject}`, 200)
    const listed = JSON.parse(answer.body.toString()) as { manifests: Descriptor[] }
    const digests = new Set(listed.manifests.map(({ digest }) => digest))
    for (const digest of this.#referrers.get(subject) ?? [])
      assert.ok(digests.has(digest), `${this.#name}: ${digest} refers to ${subject}`)
  }

  /** What the tag points at is one of what it may, and all of it is there. */
  async #check(tag: string): Promise<void> {
    const expected = this.#tags.get(tag) ?? new Set([undefined])
    const answer = await this.#ask('GET', `manifests/${tag}`, [200, 404])
    const digest = answer.status === 200 ? digestOf(answer.body) : undefined
    const image = [...expected].find(one => one?.digest === digest)
    assert.ok(
      digest === undefined ? expected.has(undefined) : image !== undefined,
      `${this.#name}:${tag} is ${digest}, want ${[...expected].map(one => one?.digest).join(' or ')}`,
    )
    this.#set(tag, image)
    this.counts.pull++
    if (image !== undefined) await this.#checkImage(image)
  }

  async #checkImage(image: Image): Promise<void> {
    for (const child of image.children) {
      const answer = await this.#ask('GET', `manifests/${child.digest}`, 200)
      assert.ok(answer.body.equals(child.bytes))
      await this.#checkImage(child)
    }
    for (const { digest, size } of image.blobs) {
      const answer = await this.#ask('GET', `blobs/${digest}`, 200)
      assert.deepEqual([digestOf(answer.body), answer.body.length], [digest, size])
    }
  }

  async #checkList(): Promise<void> {
    const answer = await this.#ask('GET', 'tags/list', [200, 404])
    const { tags = [] } = JSON.parse(answer.body.toString()) as { tags?: string[] }
    for (const [tag, images] of this.#tags) {
      if (images.size > 1) continue
      assert.equal(tags.includes(tag), !images.has(undefined), `${this.#name}:${tag} in the list`)
    }
    this.counts.list++
  }

  async #ask(
    method: string,
    path: string,
    wanted: number | readonly number[],
    options: { readonly body?: Buffer; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly body: Buffer }> {
    const hosts = this.#hosts()
    const host = hosts[this.#random(hosts.length)]
    const url = `http://${host}/v2/${this.#name}/${path}`
    const accept = `${MANIFEST}, ${INDEX}`
    let answer: Response
    let body: Buffer
    try {
      answer = await fetch(url, {
        method,
        headers: { accept, ...options.headers },
        ...(options.body && { body: new Uint8Array(options.body) }),
        signal: AbortSignal.timeout(30_000),
      })
      body = Buffer.from(await answer.arrayBuffer())
    } catch (error) {
      if (error instanceof Error && error.name === 'TimeoutError') throw error
      throw new Cut(`${method} ${url} was cut`, { cause: error })
    }
    const isWanted = typeof wanted === 'number' ? answer.status === wanted : wanted.includes(answer.status)
    assert.ok(isWanted, `${method} ${url}: ${answer.status} ${body.toString().slice(0, 500)}`)
    return { status: answer.status, headers: answer.headers, body }
  }
}

describe('a registry that is used, collected, killed and started again', () => {
  let folder: string
  let slipway: Slipway
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-soak-'))
    const config = join(folder, 'slipway.toml')
    await writeFile(config, `[gc]\nevery = "1s"\ngrace = "${GRACE}"\n\n[serve]\nlog = "off"\n`)
    slipway = slipwayAt(join(folder, 'store'), { SLIPWAY_CONFIG: config })
  })
  after(() => rm(folder, { recursive: true, force: true }))

  it(`has everything that it acknowledged, for ${SECONDS} seconds with seed ${SEED}`, async t => {
    const random = randomFrom(SEED)
    const servers: (Served | undefined)[] = []
    for (let index = 0; index < SERVERS; index++) servers.push(await slipway.serve())
    const hosts = (): readonly string[] => servers.flatMap(server => server?.host ?? [])
    const clients = Array.from(
      { length: CLIENTS },
      (_, index) => new Client(`client-${index}/app`, hosts, randomFrom(SEED * 100 + index)),
    )
    const end = Date.now() + SECONDS * 1000
    let hasFailed = false
    const goesOn = (): boolean => Date.now() < end && !hasFailed
    let kills = 0
    const killing = async (): Promise<void> => {
      while (goesOn()) {
        await sleep(300 + random(1500))
        const index = random(SERVERS)
        const victim = servers[index]
        victim?.process.kill('SIGKILL')
        servers[index] = undefined
        await victim?.[Symbol.asyncDispose]()
        servers[index] = await slipway.serve()
        kills++
      }
    }
    const working = async (client: Client): Promise<void> => {
      while (goesOn()) await client.step()
    }
    try {
      const all = [killing(), ...clients.map(working)].map(async work => {
        await work.catch(error => {
          hasFailed = true
          throw error
        })
      })
      // Nothing may be started any more when the servers are stopped.
      await Promise.allSettled(all)
      await Promise.all(all)
      for (const client of clients) await client.checkAll()
      const counts = clients.map(({ counts }) => JSON.stringify(counts)).join('\n')
      t.diagnostic(`${kills} kills\n${counts}`)
      for (const what of ['push', 'pull'] as const)
        assert.ok(
          clients.every(({ counts }) => counts[what] > 2),
          `too few of ${what}`,
        )
    } finally {
      for (const server of servers) await server?.[Symbol.asyncDispose]()
    }
    assert.match(await slipway.run(['verify']), /: 0 lost$/m)
    await slipway.run(['gc', '--grace', '0s'])
    assert.match(await slipway.run(['verify']), /: 0 lost$/m)
    await using served = await slipway.serve()
    servers.splice(0, SERVERS, served)
    for (const client of clients) await client.checkAll()
  })
})
