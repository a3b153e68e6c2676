/** The requests whose answers are compared between registries: one a line, each on a fresh repository of its own. */
import { createHash } from 'node:crypto'
import { request } from 'node:http'
import { connect } from 'node:net'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** A registry, and a repository in it that only one probe knows. */
export interface Target {
  readonly host: string
  readonly name: string
  ask(path: string, asked?: Asked): Promise<Answer>
}

export interface Probe {
  readonly name: string
  run(target: Target): Promise<Answer>
}

export const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const ACCEPT = { Accept: `${MANIFEST}, ${INDEX}, ${DOCKER_MANIFEST}` }
const OCTETS = { 'Content-Type': 'application/octet-stream' }
const TEXT = '0123456789'
const ABSENT = sha256('absent')

export function targetOf(host: string, name: string): Target {
  return { host, name, ask: (path, asked = {}) => ask(host, path, asked) }
}

export const PROBES: readonly Probe[] = [
  // end-1
  get('GET /v2/', () => '/v2/'),
  get('GET /v2', () => '/v2'),
  get('HEAD /v2/', () => '/v2/', { method: 'HEAD' }),
  get('POST /v2/', () => '/v2/', { method: 'POST' }),
  get('GET /', () => '/'),
  get('GET of a path that no API has', t => `/v2/${t.name}/nothing`),
  get('GET with a bad escape', () => '/v2/a%zz/tags/list'),
  get('GET with an upper-case name', () => '/v2/App/tags/list'),
  get('GET with a name of 256 characters', () => `/v2/${'a'.repeat(256)}/tags/list`),
  get('GET with an escaped slash in the name', () => '/v2/a%2Fb/tags/list'),
  get('GET with .. in the name', () => '/v2/a/../b/tags/list'),
  get('GET with NUL in the name', () => '/v2/a%00b/tags/list'),
  // end-2
  onBlob('GET of a blob', {}),
  onBlob('HEAD of a blob', { method: 'HEAD' }),
  onBlob('GET of a blob from byte 2 to 4', { headers: { Range: 'bytes=2-4' } }),
  onBlob('GET of the last 3 bytes of a blob', { headers: { Range: 'bytes=-3' } }),
  onBlob('GET of a blob from byte 7 on', { headers: { Range: 'bytes=7-' } }),
  onBlob('GET of a blob beyond its end', { headers: { Range: 'bytes=10-' } }),
  onBlob('GET of a blob with a range from 4 to 2', { headers: { Range: 'bytes=4-2' } }),
  onBlob('GET of a blob with two ranges', { headers: { Range: 'bytes=0-1,4-5' } }),
  onBlob('GET of a blob with a range of nonsense', { headers: { Range: 'nonsense' } }),
  onBlob('HEAD of a blob with a range', { method: 'HEAD', headers: { Range: 'bytes=2-4' } }),
  onBlob('GET of a blob that the client has', { headers: { 'If-None-Match': `"${sha256(TEXT)}"` } }),
  onBlob('DELETE of a blob', { method: 'DELETE' }),
  onBlob('POST to a blob', { method: 'POST' }),
  get('GET of a blob that is not there', t => `/v2/${t.name}/blobs/${ABSENT}`),
  get('HEAD of a blob that is not there', t => `/v2/${t.name}/blobs/${ABSENT}`, { method: 'HEAD' }),
  get('DELETE of a blob that is not there', t => `/v2/${t.name}/blobs/${ABSENT}`, { method: 'DELETE' }),
  get('GET of a blob by a malformed digest', t => `/v2/${t.name}/blobs/sha256:abc`),
  get('GET of a blob by an unknown algorithm', t => `/v2/${t.name}/blobs/md5:${'a'.repeat(32)}`),
  probe('DELETE of a blob that an image needs', async t => {
    const image = await pushImage(t)
    return t.ask(`/v2/${t.name}/blobs/${image.layer}`, { method: 'DELETE' })
  }),
  // end-3
  onImage('GET of a manifest by tag', t => `/v2/${t.name}/manifests/v1`, { headers: ACCEPT }),
  onImage('GET of a manifest by digest', (t, i) => `/v2/${t.name}/manifests/${i.digest}`, {
    headers: ACCEPT,
  }),
  onImage('HEAD of a manifest', t => `/v2/${t.name}/manifests/v1`, { method: 'HEAD', headers: ACCEPT }),
  onImage('GET of a manifest without Accept', t => `/v2/${t.name}/manifests/v1`, {}),
  onImage('GET of a manifest for a client that takes only Docker types', t => `/v2/${t.name}/manifests/v1`, {
    headers: { Accept: DOCKER_MANIFEST },
  }),
  probe('GET of a manifest that the client has', async t => {
    const { digest } = await pushImage(t)
    return t.ask(`/v2/${t.name}/manifests/v1`, { headers: { ...ACCEPT, 'If-None-Match': `"${digest}"` } })
  }),
  get('GET of a manifest that is not there', t => `/v2/${t.name}/manifests/none`, { headers: ACCEPT }),
  get('HEAD of a manifest that is not there', t => `/v2/${t.name}/manifests/none`, {
    method: 'HEAD',
    headers: ACCEPT,
  }),
  get('GET of a manifest by a malformed digest', t => `/v2/${t.name}/manifests/sha256:abc`, {
    headers: ACCEPT,
  }),
  get('GET of a manifest by a tag that is none', t => `/v2/${t.name}/manifests/-x`, { headers: ACCEPT }),
  onImage('GET of a manifest as a blob', (t, i) => `/v2/${t.name}/blobs/${i.digest}`, {}),
  // end-4, end-5, end-6
  get('POST of an upload', t => `/v2/${t.name}/blobs/uploads/`, { method: 'POST' }),
  get('POST of an upload without the last slash', t => `/v2/${t.name}/blobs/uploads`, { method: 'POST' }),
  get('GET of the uploads', t => `/v2/${t.name}/blobs/uploads/`),
  probe('POST of a whole blob', t => postBlob(t, TEXT, sha256(TEXT))),
  probe('POST of a whole blob with another digest', t => postBlob(t, TEXT, ABSENT)),
  probe('POST of a whole blob with a malformed digest', t => postBlob(t, TEXT, 'sha256:abc')),
  onUpload('PUT of a whole blob', (u, t) => put(t, u, TEXT, sha256(TEXT))),
  onUpload('PUT of an empty blob', (u, t) => put(t, u, '', sha256(''))),
  onUpload('PUT of a blob with another digest', (u, t) => put(t, u, TEXT, ABSENT)),
  onUpload('PUT of a blob with a malformed digest', (u, t) => put(t, u, TEXT, 'sha256:abc')),
  onUpload('PUT of a blob without a digest', (u, t) =>
    t.ask(u, { method: 'PUT', body: TEXT, headers: OCTETS }),
  ),
  onUpload('PUT of a blob by sha512', (u, t) => put(t, u, TEXT, sha512(TEXT))),
  onUpload('PATCH of a stream', (u, t) => patch(t, u, TEXT)),
  onUpload('PATCH of a chunk', (u, t) => patch(t, u, TEXT, '0-9')),
  onUpload('PATCH of a chunk with the range of HTTP', (u, t) => patch(t, u, TEXT, 'bytes 0-9/*')),
  onUpload('PATCH of a chunk that begins too late', (u, t) => patch(t, u, TEXT, '5-14')),
  onUpload('PATCH of a chunk for the second time', async (u, t) =>
    patch(t, located(await patch(t, u, TEXT, '0-9')), TEXT, '0-9'),
  ),
  onUpload('PATCH of a chunk with a range of nonsense', (u, t) => patch(t, u, TEXT, 'nonsense')),
  onUpload('PATCH of a chunk that is longer than its range', (u, t) => patch(t, u, TEXT, '0-4')),
  onUpload('PATCH of a chunk without a type', (u, t) => t.ask(u, { method: 'PATCH', body: TEXT })),
  onUpload('PUT of the last chunk', async (u, t) =>
    put(t, located(await patch(t, u, TEXT, '0-9')), 'abc', sha256(`${TEXT}abc`), {
      'Content-Range': '10-12',
    }),
  ),
  onUpload('PUT of a last chunk that is out of order', async (u, t) =>
    put(t, located(await patch(t, u, TEXT, '0-9')), 'abc', sha256(`${TEXT}abc`), { 'Content-Range': '5-7' }),
  ),
  onUpload('GET of an upload', (u, t) => t.ask(u)),
  onUpload('GET of an upload with 10 bytes', async (u, t) => t.ask(located(await patch(t, u, TEXT)))),
  onUpload('DELETE of an upload', (u, t) => t.ask(u, { method: 'DELETE' })),
  onUpload('GET of an upload under another name', (u, t) => t.ask(u.replace(t.name, `${t.name}-other`))),
  onUpload('PUT that ends an upload twice', async (u, t) => {
    await put(t, u, TEXT, sha256(TEXT))
    return put(t, u, TEXT, sha256(TEXT))
  }),
  get(
    'GET of an upload that is not there',
    t => `/v2/${t.name}/blobs/uploads/7f1bd8f5-2f3c-4c0b-9b0e-0e2b6f0f6f5a`,
  ),
  get('GET of an upload whose name is nonsense', t => `/v2/${t.name}/blobs/uploads/nonsense`),
  // end-7
  probe('PUT of a manifest by tag', async t => (await pushImage(t)).answer),
  probe('PUT of a manifest by digest', async t => {
    const { bytes, digest } = await pushImage(t)
    return putManifest(t, digest, bytes)
  }),
  probe('PUT of a manifest by another digest', async t => putManifest(t, ABSENT, (await pushImage(t)).bytes)),
  probe('PUT of a manifest by a malformed digest', async t =>
    putManifest(t, 'sha256:abc', (await pushImage(t)).bytes),
  ),
  probe('PUT of a manifest by sha512', async t => {
    const { bytes } = await pushImage(t)
    return putManifest(t, sha512(bytes), bytes)
  }),
  probe('PUT of a manifest by a tag that is none', async t =>
    putManifest(t, '-x', (await pushImage(t)).bytes),
  ),
  probe('PUT of a manifest by digest with tags', async t => {
    const { bytes, digest } = await pushImage(t)
    return putManifest(t, `${digest}?tag=a&tag=b`, bytes)
  }),
  probe('PUT of a manifest that is no JSON', t => putManifest(t, 'v1', '{')),
  probe('PUT of a manifest without a type', async t => putManifest(t, 'v2', (await pushImage(t)).bytes, {})),
  probe('PUT of a manifest of an unknown type', t =>
    putManifest(t, 'v1', '{"schemaVersion":2}', { 'Content-Type': 'application/x-unknown' }),
  ),
  probe('PUT of a manifest of schema 1', t =>
    putManifest(t, 'v1', '{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}', {
      'Content-Type': 'application/vnd.docker.distribution.manifest.v1+json',
    }),
  ),
  probe('PUT of a manifest whose layer is not there', async t => {
    const { bytes } = await pushImage(t)
    return putManifest(t, 'v2', bytes.replaceAll(sha256(TEXT), ABSENT))
  }),
  probe('PUT of a manifest whose layer is not to be distributed', async t => {
    const { bytes } = await pushImage(t)
    const absent = {
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      digest: ABSENT,
      size: 9,
    }
    return putManifest(t, 'v2', bytes.replace('"layers":[', `"layers":[${JSON.stringify(absent)},`))
  }),
  probe('PUT of a manifest with a subject that is not there', async t => {
    const { bytes } = await pushImage(t)
    const subject = { mediaType: MANIFEST, digest: ABSENT, size: 9 }
    return putManifest(t, 'v2', bytes.replace(/}$/, `,"subject":${JSON.stringify(subject)}}`))
  }),
  probe('PUT of an empty index', t =>
    putManifest(t, 'v1', JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] }), {
      'Content-Type': INDEX,
    }),
  ),
  probe('PUT of a manifest of 5 MiB', async t => {
    const { bytes } = await pushImage(t)
    return putManifest(t, 'v2', ' '.repeat(5 * 1024 * 1024) + bytes)
  }),
  // end-8
  onImage('GET of the tags', t => `/v2/${t.name}/tags/list`, {}),
  get('GET of the tags of no repository', t => `/v2/${t.name}/tags/list`),
  tagged('GET of the first tag of three', '?n=1'),
  tagged('GET of the tags after the first', '?last=a'),
  tagged('GET of no tags', '?n=0'),
  tagged('GET of -1 tags', '?n=-1'),
  tagged('GET of x tags', '?n=x'),
  onImage('PUT to the tags', t => `/v2/${t.name}/tags/list`, { method: 'PUT' }),
  get('GET of no repositories', () => '/v2/_catalog?n=0'),
  get('GET of x repositories', () => '/v2/_catalog?n=x'),
  // end-9
  onImage('DELETE of a manifest by digest', (t, i) => `/v2/${t.name}/manifests/${i.digest}`, {
    method: 'DELETE',
  }),
  onImage('DELETE of a tag', t => `/v2/${t.name}/manifests/v1`, { method: 'DELETE' }),
  onImage('DELETE of a manifest that is not there', t => `/v2/${t.name}/manifests/${ABSENT}`, {
    method: 'DELETE',
  }),
  onImage('DELETE of a tag that is not there', t => `/v2/${t.name}/manifests/none`, { method: 'DELETE' }),
  probe('GET of the tags after their only manifest was deleted', async t => {
    const { digest } = await pushImage(t)
    await t.ask(`/v2/${t.name}/manifests/${digest}`, { method: 'DELETE' })
    return t.ask(`/v2/${t.name}/tags/list`)
  }),
  // end-11
  probe('POST of a mount', async t => {
    await postWhole(t, TEXT, `${t.name}-source`)
    return t.ask(`/v2/${t.name}/blobs/uploads/?mount=${sha256(TEXT)}&from=${t.name}-source`, {
      method: 'POST',
    })
  }),
  probe('POST of a mount without a source', async t => {
    await postWhole(t, TEXT, `${t.name}-source`)
    return t.ask(`/v2/${t.name}/blobs/uploads/?mount=${sha256(TEXT)}`, { method: 'POST' })
  }),
  get(
    'POST of a mount of what is not there',
    t => `/v2/${t.name}/blobs/uploads/?mount=${ABSENT}&from=other`,
    {
      method: 'POST',
    },
  ),
  get(
    'POST of a mount by a malformed digest',
    t => `/v2/${t.name}/blobs/uploads/?mount=sha256:abc&from=other`,
    {
      method: 'POST',
    },
  ),
  get(
    'POST of a mount from a malformed name',
    t => `/v2/${t.name}/blobs/uploads/?mount=${ABSENT}&from=Other`,
    {
      method: 'POST',
    },
  ),
  // end-12
  onImage('GET of the referrers', (t, i) => `/v2/${t.name}/referrers/${i.digest}`, {}),
  get('GET of the referrers by a malformed digest', t => `/v2/${t.name}/referrers/sha256:abc`),
  // HTTP
  probe('GET with an absolute target', t =>
    raw(t, `GET http://${t.host}/v2/ HTTP/1.1\r\nHost: ${t.host}\r\n`),
  ),
  probe('GET by HTTP/1.0', t => raw(t, 'GET /v2/ HTTP/1.0\r\n')),
  probe('GET without a Host', t => raw(t, 'GET /v2/ HTTP/1.1\r\n')),
  probe('a line that is no HTTP', t => raw(t, 'how do you do\r\n')),
  probe('a method that nobody knows', t => raw(t, `BREW /v2/ HTTP/1.1\r\nHost: ${t.host}\r\n`)),
]

function probe(name: string, run: Probe['run']): Probe {
  return { name, run }
}

function get(name: string, path: (target: Target) => string, asked: Asked = {}): Probe {
  return probe(name, target => target.ask(path(target), asked))
}

function onBlob(name: string, asked: Asked): Probe {
  return probe(name, async t => {
    await postWhole(t, TEXT)
    return t.ask(`/v2/${t.name}/blobs/${sha256(TEXT)}`, asked)
  })
}

function onImage(name: string, path: (target: Target, image: Image) => string, asked: Asked): Probe {
  return probe(name, async t => t.ask(path(t, await pushImage(t)), asked))
}

function onUpload(name: string, run: (upload: string, target: Target) => Promise<Answer>): Probe {
  return probe(name, async t =>
    run(located(await t.ask(`/v2/${t.name}/blobs/uploads/`, { method: 'POST' })), t),
  )
}

function tagged(name: string, query: string): Probe {
  return probe(name, async t => {
    const { bytes } = await pushImage(t, 'a')
    for (const tag of ['b', 'c']) await putManifest(t, tag, bytes)
    return t.ask(`/v2/${t.name}/tags/list${query}`)
  })
}

interface Image {
  readonly bytes: string
  readonly digest: string
  readonly layer: string
  readonly answer: Answer
}

async function pushImage(target: Target, tag = 'v1'): Promise<Image> {
  const config = '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
  await postWhole(target, config)
  await postWhole(target, TEXT)
  const bytes = JSON.stringify({
    schemaVersion: 2,
    mediaType: MANIFEST,
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: sha256(config),
      size: config.length,
    },
    layers: [
      { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: sha256(TEXT), size: TEXT.length },
    ],
  })
  return { bytes, digest: sha256(bytes), layer: sha256(TEXT), answer: await putManifest(target, tag, bytes) }
}

function putManifest(
  { name, ask }: Target,
  reference: string,
  body: string,
  headers: Record<string, string> = { 'Content-Type': MANIFEST },
): Promise<Answer> {
  return ask(`/v2/${name}/manifests/${reference}`, { method: 'PUT', headers, body })
}

function postBlob({ name, ask }: Target, body: string, digest: string): Promise<Answer> {
  return ask(`/v2/${name}/blobs/uploads/?digest=${digest}`, { method: 'POST', headers: OCTETS, body })
}

/** In the way that every registry knows. */
async function postWhole(target: Target, body: string, name = target.name): Promise<void> {
  const upload = located(await target.ask(`/v2/${name}/blobs/uploads/`, { method: 'POST' }))
  const { status } = await put(target, upload, body, sha256(body))
  if (status !== 201) throw new Error(`cannot push a blob to ${target.host}: ${status}`)
}

function put(
  { ask }: Target,
  upload: string,
  body: string,
  digest: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const query = `${upload.includes('?') ? '&' : '?'}digest=${digest}`
  return ask(upload + query, { method: 'PUT', headers: { ...OCTETS, ...headers }, body })
}

function patch({ ask }: Target, upload: string, body: string, range?: string): Promise<Answer> {
  return ask(upload, {
    method: 'PATCH',
    headers: { ...OCTETS, ...(range !== undefined && { 'Content-Range': range }) },
    body,
  })
}

function located({ headers }: Answer): string {
  const { pathname, search } = new URL(headers.location ?? '', 'http://registry')
  return pathname + search
}

export function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

function sha512(text: string): string {
  return `sha512:${createHash('sha512').update(text).digest('hex')}`
}

/** The body of an answer that is shorter than it said. */
const CUT = '{"errors":[{"code":"(connection cut)"}]}'

/** Paths go out as they are: neither `..` nor escapes are touched. */
function ask(host: string, path: string, { method = 'GET', headers = {}, body }: Asked): Promise<Answer> {
  const { hostname, port } = new URL(`http://${host}`)
  const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers: { ...length, ...headers } }, response => {
      let body = ''
      const { statusCode: status = 0 } = response
      response.setEncoding('utf8')
      response.on('data', chunk => {
        body += chunk
      })
      response.on('error', () => resolve({ status, headers: flat(response.headers), body: CUT }))
      response.on('end', () => resolve({ status, headers: flat(response.headers), body }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function raw({ host }: Target, text: string): Promise<Answer> {
  const { hostname, port } = new URL(`http://${host}`)
  return new Promise((resolve, reject) => {
    let got = ''
    const socket = connect(Number(port), hostname, () => socket.write(`${text}Connection: close\r\n\r\n`))
    socket.setEncoding('utf8')
    socket.on('data', chunk => {
      got += chunk
    })
    socket.on('error', reject)
    socket.on('close', () => {
      const [head = '', ...body] = got.split('\r\n\r\n')
      const [line = '', ...lines] = head.split('\r\n')
      const headers = lines.map(header => header.split(/: (.*)/s))
      resolve({
        status: Number(line.split(' ')[1] ?? 0),
        headers: Object.fromEntries(headers.map(([key = '', value = '']) => [key.toLowerCase(), value])),
        body: body.join('\r\n\r\n'),
      })
    })
  })
}

function flat(headers: NodeJS.Dict<string | string[]>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, [value].flat().join(', ')]))
}
