/** Files at http(s) URLs, for ADD. */
import type { Readable } from 'node:stream'
import { type Digest, type DigestAlgorithm, Digester } from '../../oci/digest.ts'
import { displayForeign, displayUrl } from '../../remote/errors.ts'
import { isInternal } from '../../remote/internal-address.ts'
import type { HttpResponse, Transport } from '../../remote/transport.ts'
import { BuildError } from '../errors.ts'
import { Spool } from '../tree/spool.ts'

export interface Download {
  readonly digest: Digest
  /** Bytes. */
  readonly size: number
  /** `Last-Modified`, in seconds since the epoch. */
  readonly mtime?: number
  open(): Promise<Buffer | Readable>
}

/** Holds what it has got on disk until it is disposed. */
export interface Downloads extends AsyncDisposable {
  /**
   * Got once, however often it is asked for.
   * @throws BuildError `download-failed`; RemoteError for a server that cannot be reached; the signal's reason
   */
  get(url: URL, algorithm: DigestAlgorithm, signal: AbortSignal): Promise<Download>
}

export interface DownloadLimits {
  readonly bytes: number
  /** Milliseconds for one download, redirects included. */
  readonly time: number
  readonly redirects: number
}

export interface DownloadsDeps {
  /** Called for the first download; closed with the downloads. */
  openTransport(): Promise<Transport>
  /** What to say to the host of a URL; redirects take it to no other. */
  authorization?(url: URL): Promise<string | undefined>
  readonly temporaryDirectory: string
  readonly limits?: DownloadLimits
}

const DEFAULT_LIMITS: DownloadLimits = { bytes: 16 * 2 ** 30, time: 60 * 60 * 1000, redirects: 10 }

export function createDownloads(deps: DownloadsDeps): Downloads {
  const { temporaryDirectory, limits = DEFAULT_LIMITS } = deps
  const started = new Map<string, Promise<Download>>()
  const held = new AsyncDisposableStack()
  let transport: Promise<Transport> | undefined

  const start = async (url: URL, algorithm: DigestAlgorithm, outer: AbortSignal): Promise<Download> => {
    transport ??= deps.openTransport().then(opened => held.use(opened))
    const timeout = AbortSignal.timeout(limits.time)
    const signal = AbortSignal.any([outer, timeout])
    try {
      const response = await follow(
        await transport,
        { url, authorization: await deps.authorization?.(url) },
        limits.redirects,
        signal,
      )
      return await keep(response, algorithm, held.use(new Spool(temporaryDirectory)), limits.bytes)
    } catch (error) {
      outer.throwIfAborted()
      if (timeout.aborted) throw failed(url, `it takes longer than ${limits.time / 1000} seconds`)
      throw error
    }
  }
  return {
    get(url, algorithm, signal) {
      const key = `${algorithm} ${url.href}`
      const download = started.get(key) ?? start(url, algorithm, signal)
      started.set(key, download)
      return download
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(started.values())
      await held.disposeAsync()
    },
  }
}

async function follow(
  transport: Transport,
  { url: first, authorization }: { readonly url: URL; readonly authorization: string | undefined },
  redirects: number,
  signal: AbortSignal,
): Promise<HttpResponse> {
  let url = first
  let isOutward = false
  for (let left = redirects; left >= 0; left--) {
    const headers = {
      'user-agent': 'slipway',
      'accept-encoding': 'identity',
      ...(authorization !== undefined && url.origin === first.origin && { authorization }),
    }
    const response = await transport.send({ method: 'GET', url, headers, isOutward, signal })
    if (response.status === 200) return response
    response.drop()
    const { location } = response.headers
    if (![301, 302, 303, 307, 308].includes(response.status) || location === undefined)
      throw failed(first, `${url.host} answered ${response.status}`)
    url = redirected(first, url, location)
    isOutward ||= response.isInside !== true
  }
  throw failed(first, `more than ${redirects} redirects`)
}

/** User and password of a URL go to no other host; and nobody leads to what only we can reach, or off TLS. */
function redirected(first: URL, from: URL, location: string): URL {
  const to = URL.parse(location, from.href)
  if (to === null || !/^https?:$/.test(to.protocol))
    throw failed(first, `${from.host} redirects to ${JSON.stringify(displayForeign(location))}`)
  if (isInternal(to) && !isInternal(from))
    throw failed(
      first,
      `${from.host} redirects to ${to.host}, which is an address of this machine or its network alone`,
    )
  if (from.protocol === 'https:' && to.protocol === 'http:')
    throw failed(first, `${from.host} redirects from HTTPS to plain HTTP at ${to.host}`)
  const isSame = to.origin === from.origin
  to.username = isSame ? from.username : ''
  to.password = isSame ? from.password : ''
  return to
}

async function keep(
  response: HttpResponse,
  algorithm: DigestAlgorithm,
  spool: Spool,
  maxBytes: number,
): Promise<Download> {
  const digester = new Digester(algorithm)
  const body = async function* () {
    for await (const chunk of response.body()) {
      digester.update(chunk)
      if (digester.size > maxBytes) throw failed(response.url, `more than ${maxBytes} bytes`)
      yield chunk
    }
  }
  const spooled = await spool.append(body())
  const mtime = Math.floor(Date.parse(response.headers['last-modified'] ?? '') / 1000)
  return {
    digest: digester.digest(),
    size: spooled.size,
    ...(mtime >= 0 && mtime < 2 ** 33 && { mtime }),
    open: () => spool.read(spooled),
  }
}

function failed(url: URL, problem: string): BuildError {
  return new BuildError('download-failed', `Cannot download ${displayUrl(url)}: ${problem}`)
}
