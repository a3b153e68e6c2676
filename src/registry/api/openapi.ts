/** OpenAPI 3.1 of the JSON API; a test holds every answer against it. */
type Schema = Readonly<Record<string, unknown>>

const string: Schema = { type: 'string' }
const boolean: Schema = { type: 'boolean' }
const bytes: Schema = { type: 'integer', minimum: 0 }
const count: Schema = { type: 'integer', minimum: 0 }
const time: Schema = { type: 'string', format: 'date-time' }
const strings: Schema = { type: 'array', items: string }
const stringMap: Schema = { type: 'object', additionalProperties: string }

/** Every field is always there. */
function object(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false }
}

function list(items: Schema): Schema {
  return { type: 'array', items }
}

function nullable(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] }
}

function described(schema: Schema, description: string): Schema {
  return { ...schema, description }
}

function ref(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` }
}

const REPOSITORY = {
  name: string,
  tags: described(count, 'How many tags it has'),
  bytes: described(bytes, 'All of its content, each digest counted once'),
  pushedAt: nullable(time),
  pulledAt: described(nullable(time), 'The last GET of a manifest; null for never. Up to some seconds late'),
}

const MANIFEST = {
  digest: string,
  mediaType: string,
  artifactType: nullable(string),
  subject: described(nullable(string), 'The digest that this manifest refers to'),
  bytes: described(
    nullable(bytes),
    'The manifest and all that it needs, each digest counted once; null until it is known',
  ),
  createdAt: described(nullable(time), 'When the image was built, as it says itself'),
  pushedAt: nullable(time),
  pulledAt: nullable(time),
  platforms: list(
    object({
      platform: described(string, 'linux/amd64'),
      digest: string,
      bytes: described(nullable(bytes), 'Null where that image is not stored'),
    }),
  ),
  labels: described(stringMap, 'Labels and annotations that begin with org.opencontainers.image.'),
  referrers: described(count, 'Manifests whose subject this is; 1000 stands for that or more'),
}

const DESCRIPTOR = { digest: string, mediaType: string, bytes }

const SCHEMAS: Readonly<Record<string, Schema>> = {
  Repository: object(REPOSITORY),
  Quota: object({
    prefix: described(string, 'All repositories below it, and itself; * is every repository'),
    limit: bytes,
    used: described(bytes, 'Each digest counted once'),
  }),
  RepositoryList: object({ repositories: list(ref('Repository')), next: ref('Next') }),
  RepositoryDetail: object({ ...REPOSITORY, quotas: list(ref('Quota')) }),
  Tag: object({
    tag: string,
    taggedAt: described(nullable(time), 'When the tag was pointed at this manifest'),
    ...MANIFEST,
  }),
  TagList: object({ repository: string, tags: list(ref('Tag')), next: ref('Next') }),
  ManifestDetail: object({
    repository: string,
    ...MANIFEST,
    tags: described(strings, 'That point at it, up to 100'),
    freedByDelete: described(
      nullable(bytes),
      'What garbage collection would free in the end if the tag that was asked for were deleted; null for a digest',
    ),
    content: { oneOf: [ref('ImageContent'), ref('IndexContent')] },
  }),
  ImageContent: object({
    kind: { const: 'image' },
    annotations: stringMap,
    config: object(DESCRIPTOR),
    layers: list(
      object({
        ...DESCRIPTOR,
        compression: nullable({ enum: ['none', 'gzip', 'zstd'] }),
        createdBy: described(nullable(string), 'The step that made it, where the history tells'),
      }),
    ),
    image: described(nullable(ref('Image')), 'Null for artifacts, and where the config is missing'),
  }),
  IndexContent: object({
    kind: { const: 'index' },
    annotations: stringMap,
    manifests: list(object({ ...DESCRIPTOR, platform: nullable(string), annotations: stringMap })),
  }),
  Image: object({
    platform: string,
    created: nullable(string),
    author: nullable(string),
    user: nullable(string),
    workingDir: nullable(string),
    env: strings,
    entrypoint: nullable(strings),
    cmd: nullable(strings),
    exposedPorts: strings,
    volumes: strings,
    stopSignal: nullable(string),
    labels: stringMap,
    history: list(
      object({
        created: nullable(string),
        createdBy: nullable(string),
        comment: nullable(string),
        emptyLayer: boolean,
      }),
    ),
  }),
  Store: object({
    status: { const: 'ok' },
    version: string,
    blobs: count,
    bytes: described(bytes, 'All content of the store, each digest counted once'),
    disk: object({ freeBytes: bytes, totalBytes: bytes }),
    quotas: described(list(ref('Quota')), 'Those of names below which the caller may pull'),
  }),
  Next: described(nullable(string), 'Path and query of the next page; null on the last one'),
  Errors: object({
    errors: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        properties: { code: string, message: string, detail: {} },
        required: ['code', 'message'],
      },
    },
  }),
}

interface Parameter {
  readonly name: string
  readonly description: string
  readonly required?: boolean
  readonly schema: Schema
}

const N: Parameter = {
  name: 'n',
  description: 'At most so many',
  schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
}
const LAST: Parameter = { name: 'last', description: 'Opaque; part of `next`', schema: string }

function sort(orders: readonly [string, ...string[]], description: string): Parameter {
  return { name: 'sort', description, schema: { enum: orders, default: orders[0] } }
}

function required(name: string, description: string): Parameter {
  return { name, description, required: true, schema: string }
}

function get(summary: string, parameters: readonly Parameter[], answer: Schema) {
  const json = (schema: Schema) => ({ content: { 'application/json': { schema } } })
  return {
    get: {
      summary,
      parameters: parameters.map(parameter => ({ in: 'query', ...parameter })),
      responses: {
        200: { description: 'Done', ...json(answer) },
        '4XX': { description: 'Refused, as by the registry itself', ...json(ref('Errors')) },
        '5XX': { description: 'Failed', ...json(ref('Errors')) },
      },
    },
  }
}

/** @param version of the program */
export function openApiDocument(version: string) {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Slipway',
      version,
      description:
        'What pages and scripts want to know of a registry. A caller sees the repositories that it may pull, with the credentials of the registry itself (Basic or Bearer).',
    },
    paths: {
      '/api/v1/repositories': get(
        'List repositories',
        [
          { name: 'search', description: 'Only names that contain this', schema: string },
          sort(['name', 'pushed', 'pulled', 'size'], 'By name, or the newest or largest first'),
          N,
          LAST,
        ],
        ref('RepositoryList'),
      ),
      '/api/v1/repository': get(
        'One repository',
        [required('name', 'Such as team/app')],
        ref('RepositoryDetail'),
      ),
      '/api/v1/tags': get(
        'List tags of a repository',
        [
          required('repository', 'Such as team/app'),
          sort(['pushed', 'name'], 'The newest first, or by name'),
          N,
          LAST,
        ],
        ref('TagList'),
      ),
      '/api/v1/manifest': get(
        'One image, index or artifact, with its config, history and layers',
        [required('repository', 'Such as team/app'), required('reference', 'A tag or a digest')],
        ref('ManifestDetail'),
      ),
      '/api/v1/store': get('The whole store: size, disk, quotas', [], ref('Store')),
    },
    components: { schemas: SCHEMAS },
  }
}
