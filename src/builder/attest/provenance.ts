/**
 * How an image came about: a SLSA provenance predicate, version 1, with the fields that BuildKit gives it, so that what
 * reads BuildKit's reads ours. What cannot be known twice (an ID of the run) is left out. Values of secrets are never
 * read here; only IDs of secrets are in the definitions of steps.
 */
import { posix } from 'node:path'
import { formatPlatform, type Platform } from '../../oci/platform.ts'
import type { DockerfileSource } from '../dockerfile/source.ts'
import type { Vertex } from '../solve/vertex.ts'
import type { Claim } from './attestation.ts'
import type { BuildRecord, ResolvedImage } from './build-record.ts'
import { buildSteps } from './build-steps.ts'
import { imagePurl } from './purl.ts'

export interface ProvenanceSettings {
  /** `max` also tells build args, labels, the steps and the Dockerfile. */
  readonly mode: 'min' | 'max'
  /** Who builds, as a URI. */
  readonly builderID: string
}

/** What was asked for. */
export interface BuildRequest {
  readonly dockerfile: DockerfileSource
  readonly buildArgs: ReadonlyMap<string, string>
  readonly labels: ReadonlyMap<string, string>
  readonly target?: string
  readonly noCache: boolean
  readonly contexts: readonly string[]
}

export interface ProvenanceFacts {
  readonly request: BuildRequest
  readonly target: Vertex
  readonly record: Pick<BuildRecord, 'resolved' | 'definitionOf'>
  readonly hostPlatform: Platform
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly finishedAt: number
}

const BUILD_TYPE = 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md'

export function provenance(settings: ProvenanceSettings, facts: ProvenanceFacts): Claim {
  const { mode, builderID } = settings
  const { request, hostPlatform, startedAt, finishedAt } = facts
  const steps = buildSteps(facts.target, facts.record.definitionOf)
  const isMax = mode === 'max'
  // Where the checkout lies is no part of the build.
  const path = posix.basename(request.dockerfile.name)
  const source = {
    locations: steps.locations,
    infos: [
      {
        filename: path,
        language: 'Dockerfile',
        data: Buffer.from(request.dockerfile.text).toString('base64'),
      },
    ],
  }
  const args = requestArguments(request, isMax)
  const hidesArguments = !isMax && request.buildArgs.size + request.labels.size > 0
  return {
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: BUILD_TYPE,
        externalParameters: {
          configSource: { path },
          request: {
            frontend: 'dockerfile.v0',
            args,
            ...(isMax && steps.secrets.length > 0 && { secrets: steps.secrets }),
            ...(isMax && steps.ssh.length > 0 && { ssh: steps.ssh }),
            locals: ['context', 'dockerfile', ...request.contexts].map(name => ({ name })),
          },
        },
        internalParameters: {
          builderPlatform: formatPlatform(hostPlatform),
          ...(isMax && { buildConfig: { llbDefinition: steps.definition } }),
        },
        resolvedDependencies: [...imageDependencies(facts.record.resolved), ...steps.downloads],
      },
      runDetails: {
        builder: { id: builderID },
        metadata: {
          startedOn: formatTime(startedAt),
          finishedOn: formatTime(finishedAt),
          buildkit_metadata: isMax ? { source } : {},
          buildkit_completeness: {
            request: !hidesArguments && (isMax || steps.secrets.length + steps.ssh.length === 0),
            resolvedDependencies: steps.isClosed,
          },
        },
      },
    },
  }
}

const PROXY = /^(http|https|ftp|no|all)_proxy$/i

/** Proxies are left out: they are no part of what is built, and may carry passwords. */
function requestArguments(request: BuildRequest, isMax: boolean): Readonly<Record<string, string>> {
  const { buildArgs, labels, target, noCache } = request
  const named = (prefix: string, values: ReadonlyMap<string, string>): [string, string][] =>
    [...values].filter(([name]) => !PROXY.test(name)).map(([name, value]) => [`${prefix}:${name}`, value])
  const args: [string, string][] = [
    ...(isMax ? [...named('build-arg', buildArgs), ...named('label', labels)] : []),
    ...(target === undefined ? [] : [['target', target] as [string, string]]),
    ...(noCache ? [['no-cache', ''] as [string, string]] : []),
  ]
  return Object.fromEntries(args.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

interface Dependency {
  readonly uri: string
  readonly digest?: Readonly<Record<string, string>>
}

/** Each once, by name; the digest is what the name was resolved to. */
function imageDependencies(resolved: readonly ResolvedImage[]): readonly Dependency[] {
  const found = new Map<string, Dependency>()
  for (const { reference, platform, image } of resolved) {
    const digest = /@(sha256|sha512):([0-9a-f]+)$/.exec(image.name)
    const uri = imagePurl(reference, platform)
    found.set(uri, { uri, ...(digest !== null && { digest: { [digest[1] ?? '']: digest[2] ?? '' } }) })
  }
  return [...found.values()].toSorted((a, b) => (a.uri < b.uri ? -1 : 1))
}

function formatTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}
