/**
 * The JSON API beside the registry's own: what lists and pages want to know, read from rows (`Inventory`). A caller
 * sees the repositories that it may pull. Names are query parameters, because they hold slashes, which proxies do not
 * agree about in paths.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ContentProvider } from '../../oci/content.ts'
import { isRepositoryPath, type RepositoryName } from '../../oci/reference.ts'
import type { Cursor, Inventory, ManifestEntry, RepositoryOrder } from '../../store/inventory.ts'
import type { Metadata } from '../../store/metadata.ts'
import { type Quota, quotasOf, type StoreRules } from '../../store/rules.ts'
import { type Access, type ClientInfo, everyoneMay, type Grant } from '../access.ts'
import { clientOf } from '../client-of.ts'
import { RegistryError } from '../errors.ts'
import type { Target } from '../route.ts'
import { manifestAnswer, repositoryAnswer, tagAnswer } from './answers.ts'
import { readManifestContent } from './manifest-content.ts'
import { openApiDocument } from './openapi.ts'
import { formatCursor, readCount, readCursor, readOrder, readReference, readRepository } from './query.ts'

export interface ApiDeps {
  readonly inventory: Inventory
  readonly metadata: Pick<Metadata, 'getTag'>
  readonly content: ContentProvider
  readonly rules: StoreRules
  /** Without it everyone sees everything. */
  readonly access?: Access
  readonly disk: () => Promise<DiskSpace>
  /** Of the program. */
  readonly version: string
}

export interface DiskSpace {
  readonly freeBytes: number
  readonly totalBytes: number
}

interface ApiCall {
  readonly query: URLSearchParams
  readonly client: ClientInfo
}

export function apiRoutes(deps: ApiDeps): (app: FastifyInstance) => void {
  const document = openApiDocument(deps.version)
  const handlers: Readonly<Record<string, (call: ApiCall) => Promise<object>>> = {
    '/api/openapi.json': async () => document,
    '/api/v1/repositories': call => listRepositories(deps, call),
    '/api/v1/repository': call => getRepository(deps, call),
    '/api/v1/tags': call => listTags(deps, call),
    '/api/v1/manifest': call => getManifest(deps, call),
    '/api/v1/store': call => getStore(deps, call),
  }
  return app => {
    for (const [url, handle] of Object.entries(handlers))
      app.route({
        method: ['GET', 'HEAD'],
        url,
        handler: async (request, reply) =>
          send(reply, await handle({ query: queryOf(request), client: clientOf(request) })),
      })
  }
}

function queryOf({ raw }: FastifyRequest): URLSearchParams {
  return new URLSearchParams(raw.url?.split('?').slice(1).join('?'))
}

function send(reply: FastifyReply, answer: object): FastifyReply {
  return reply
    .header('Content-Type', 'application/json')
    .header('Cache-Control', 'no-cache')
    .send(Buffer.from(JSON.stringify(answer)))
}

/** As for the same question below `/v2/`. */
async function authorize({ access }: ApiDeps, { query, client }: ApiCall, target: Target): Promise<Grant> {
  return (await access?.authorize({ method: 'GET', target, query, client })) ?? everyoneMay
}

const REPOSITORY_ORDERS = ['name', 'pushed', 'pulled', 'size'] as const
const TAG_ORDERS = ['pushed', 'name'] as const

/** Rows that are looked at for one answer: who may see few of very many gets short pages. */
const MAX_EXAMINED = 20_000
const WINDOW = 1000

async function listRepositories(deps: ApiDeps, call: ApiCall): Promise<object> {
  const { query } = call
  const limit = readCount(query)
  const order = readOrder(query, REPOSITORY_ORDERS)
  const search = query.get('search') ?? ''
  const { may } = (await deps.access?.identify(call.client)) ?? everyoneMay
  const found = []
  let after = readCursor(query, order)
  let isEnd = false
  let examined = 0
  for (let size = limit + 1; found.length <= limit && !isEnd && examined < MAX_EXAMINED; size = WINDOW) {
    const page = deps.inventory.listRepositories({ order, search, limit: size, ...(after && { after }) })
    found.push(...page.filter(({ name }) => isRepositoryPath(name) && may('pull', name)))
    examined += page.length
    isEnd = page.length < size
    const last = page.at(-1)
    if (last !== undefined) after = { name: last.name, value: orderValue(last, order) }
    if (!isEnd && found.length <= limit) await nextTurn()
  }
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  if (found.length > limit && last !== undefined) after = { name: last.name, value: orderValue(last, order) }
  else if (isEnd) after = undefined
  return {
    repositories: shown.map(repositoryAnswer),
    next: nextPage('/api/v1/repositories', query, order, after),
  }
}

function orderValue(
  entry: { readonly pushedAt: number; readonly pulledAt: number; readonly bytes: number },
  order: RepositoryOrder,
): number {
  const { pushedAt, pulledAt, bytes } = entry
  return { name: 0, pushed: pushedAt, pulled: pulledAt, size: bytes }[order]
}

async function getRepository(deps: ApiDeps, call: ApiCall): Promise<object> {
  const name = readRepository(call.query, 'name')
  await authorize(deps, call, { kind: 'tags', name })
  const entry = deps.inventory.getRepository(name)
  if (entry === undefined) throw unknownRepository(name)
  const quotas = quotasOf(deps.rules, name)
  return { ...repositoryAnswer(entry), quotas: quotas.map(quota => quotaAnswer(deps, quota)) }
}

async function listTags(deps: ApiDeps, call: ApiCall): Promise<object> {
  const { query } = call
  const repository = readRepository(query, 'repository')
  const limit = readCount(query)
  const order = readOrder(query, TAG_ORDERS)
  await authorize(deps, call, { kind: 'tags', name: repository })
  const after = readCursor(query, order)
  const found = deps.inventory.listTags(repository, { order, limit: limit + 1, ...(after && { after }) })
  if (found === undefined) throw unknownRepository(repository)
  const shown = found.slice(0, limit)
  const last = found.length > limit ? shown.at(-1) : undefined
  const cursor = last && { name: last.tag, value: last.taggedAt }
  return {
    repository,
    tags: shown.map(tagAnswer),
    next: nextPage('/api/v1/tags', query, order, cursor),
  }
}

function nextPage(
  path: string,
  query: URLSearchParams,
  order: string,
  after: Cursor | undefined,
): string | null {
  if (after === undefined) return null
  const next = new URLSearchParams(query)
  next.set('last', formatCursor(order, after))
  return `${path}?${next}`
}

const MAX_TAGS = 100

async function getManifest(deps: ApiDeps, call: ApiCall): Promise<object> {
  const { inventory, metadata, content } = deps
  const repository = readRepository(call.query, 'repository')
  const reference = readReference(call.query)
  await authorize(deps, call, { kind: 'manifest', name: repository, reference })
  const digest = 'digest' in reference ? reference.digest : metadata.getTag(repository, reference.tag)?.digest
  const entry = digest && inventory.getManifest(repository, digest)
  if (entry === undefined)
    throw new RegistryError('manifest-unknown', `Cannot find manifest: ${repository} has no such manifest`)
  return {
    repository,
    ...manifestAnswer(entry),
    tags: inventory.tagsOf(repository, entry.digest, MAX_TAGS),
    freedByDelete: 'tag' in reference ? (inventory.bytesFreedByTag(repository, reference.tag) ?? null) : null,
    content: await readEntry(content, entry),
  }
}

async function readEntry(content: ContentProvider, { digest, mediaType }: ManifestEntry): Promise<object> {
  const size = (await content.stat(digest))?.size
  if (size !== undefined) return readManifestContent(content, { digest, mediaType, size })
  throw new RegistryError('content-corrupt', `Cannot read manifest ${digest}: it is lost`)
}

async function getStore(deps: ApiDeps, call: ApiCall): Promise<object> {
  const { may } = await authorize(deps, call, { kind: 'catalog' })
  const { blobs, bytes } = deps.inventory.totals()
  const isVisible = ({ prefix }: Quota): boolean =>
    prefix === '*' || [prefix, `${prefix}/x`].some(name => may('pull', name as RepositoryName))
  return {
    status: 'ok',
    version: deps.version,
    blobs,
    bytes,
    disk: await deps.disk(),
    quotas: deps.rules.quotas.filter(isVisible).map(quota => quotaAnswer(deps, quota)),
  }
}

function quotaAnswer({ inventory }: ApiDeps, { prefix, limit }: Quota) {
  return { prefix, limit, used: inventory.quotaUsage(prefix) ?? 0 }
}

function unknownRepository(name: RepositoryName): RegistryError {
  return new RegistryError('name-unknown', `Cannot find repository ${name}: there is none`)
}
