import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Bench } from '../bench.ts'
import { DISTRIBUTION, LARGE_IMAGE, largeImageOf } from '../contenders/large-image.ts'
import { type Case, type Contender, OURS, type Target, type Workload } from '../workload.ts'

/** A header, after the request line. */
export const ACCEPT_MANIFEST = '\naccept: application/vnd.oci.image.manifest.v1+json'

const CONNECTIONS = 64
const CONSTANT = 'Fastify, a constant'

interface Server {
  readonly name: string
  readonly host?: string
  readonly pid?: number
  readonly missing?: string | undefined
}

export const smallRequests: Workload = {
  id: 'R2',
  title: 'small requests, 64 connections',
  limit: 'Fastify answering a constant',
  async prepare(bench) {
    const { registries, served } = await largeImageOf(bench)
    const servers: Server[] = [
      ...registries.map(({ name, there: { value, missing } }) => ({ name, missing, ...value })),
      { name: CONSTANT, ...(await startConstant(bench)) },
    ]
    const { digest, layer } = await imageAt(served.host)
    const at = (path: string): string => `/v2/${LARGE_IMAGE}/${path}`
    const client = bench.loadClient()
    const questions = [
      ['manifest HEAD by tag', `HEAD ${at('manifests/latest')}${ACCEPT_MANIFEST}`],
      ['manifest GET by tag', `GET ${at('manifests/latest')}${ACCEPT_MANIFEST}`],
      ['manifest GET by digest', `GET ${at(`manifests/${digest}`)}${ACCEPT_MANIFEST}`],
      ['blob HEAD', `HEAD ${at(`blobs/${layer}`)}`],
    ] as const
    const seconds = bench.quick ? 0.2 : 2
    return questions.map(([name, request]): Case => {
      const contenders = servers.map((server): Contender => {
        const { host, pid, missing } = server
        if (host === undefined || pid === undefined)
          return { name: server.name, missing: missing ?? 'not there', run: async () => undefined }
        return {
          name: server.name,
          clientsAreFree: true,
          daemons: () => [pid],
          async run() {
            const job = { host, connections: CONNECTIONS, seconds, requests: [request] }
            const { perSecond, p99Ms } = await client.do('requests', job)
            return { perSecond, p99Ms }
          },
        }
      })
      return {
        name,
        metrics: [{ key: 'perSecond', unit: 'req/s', better: 'more', target: TARGET }],
        contenders,
      }
    })
  },
}

const TARGET: Target = {
  text: 'within 1.3x of a constant; at least 3x docker-registry',
  isMet(medians) {
    const [ours, constant, theirs] = [medians(OURS), medians(CONSTANT), medians(DISTRIBUTION)]
    if (ours === undefined || constant === undefined) return undefined
    return ours * 1.3 >= constant && (theirs === undefined || ours >= theirs * 3)
  },
}

async function startConstant(bench: Bench): Promise<{ readonly host: string; readonly pid: number }> {
  const child = fork(join(import.meta.dirname, '../contenders/constant-server.ts'))
  const ended = once(child, 'exit')
  bench.keep({
    async [Symbol.asyncDispose]() {
      child.disconnect()
      await ended
    },
  })
  const [port] = await once(child, 'message')
  return { host: `127.0.0.1:${port}`, pid: child.pid ?? 0 }
}

interface ImageParts {
  readonly digest: string
  readonly layer: string
  readonly blobs: readonly string[]
}

/** What the manifest of the large image tells. */
export async function imageAt(host: string): Promise<ImageParts> {
  const answer = await fetch(`http://${host}/v2/${LARGE_IMAGE}/manifests/latest`)
  const { config, layers } = (await answer.json()) as {
    readonly config: { readonly digest: string }
    readonly layers: readonly { readonly digest: string }[]
  }
  const blobs = [config, ...layers].map(({ digest }) => digest)
  return {
    digest: answer.headers.get('docker-content-digest') ?? '',
    layer: layers.at(-1)?.digest ?? '',
    blobs,
  }
}
