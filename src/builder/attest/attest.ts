import type { Platform } from '../../oci/platform.ts'
import { formatReference } from '../../oci/reference.ts'
import type { OpContext, Result, Vertex } from '../solve/vertex.ts'
import type { FileTree } from '../tree/file-tree.ts'
import { type Attestation, type AttestationSubject, type Claim, createAttestation } from './attestation.ts'
import type { BuildRecord } from './build-record.ts'
import { type BuildRequest, type ProvenanceSettings, provenance } from './provenance.ts'

/** What to say of an image beside it; nothing unless it is asked for. */
export interface AttestationSettings {
  readonly provenance?: ProvenanceSettings
  /** A list of the packages in the image. */
  readonly sbom?: boolean
}

export function attestsAnything({ provenance, sbom }: AttestationSettings): boolean {
  return provenance !== undefined || sbom === true
}

/** What of one platform's image is told. */
export interface AttestedBuild {
  readonly platform: Platform
  readonly target: Vertex
  readonly result: Result
}

export interface Attester {
  /** @throws what reading the image throws; the signal's reason */
  attest(
    build: AttestedBuild,
    subject: Omit<AttestationSubject, 'platform'>,
    context: OpContext,
  ): Promise<readonly Attestation[]>
}

export interface AttesterDeps {
  readonly request: BuildRequest
  readonly hostPlatform: Platform
  readonly record: Pick<BuildRecord, 'resolved' | 'definitionOf'>
  openTree(result: Result, signal: AbortSignal): Promise<FileTree & AsyncDisposable>
  readonly temporaryDirectory: string
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly startedAt: number
  /** Seconds since the epoch: the time of all that is told. */
  readonly sourceDateEpoch?: number
}

export function createAttester(settings: AttestationSettings, deps: AttesterDeps): Attester {
  const { request, hostPlatform, record, now, startedAt, sourceDateEpoch } = deps
  const fixed = sourceDateEpoch === undefined ? undefined : sourceDateEpoch * 1000
  const boms = new Map<string, Promise<Claim>>()

  const bomOf = (build: AttestedBuild, name: string, context: OpContext): Promise<Claim> => {
    const key = `${build.result.chainID ?? 'scratch'} ${name}`
    const bom = boms.get(key) ?? makeBom(build, name, context)
    boms.set(key, bom)
    return bom
  }
  const makeBom = async (
    { result }: AttestedBuild,
    name: string,
    { signal, status }: OpContext,
  ): Promise<Claim> => {
    status('listing the packages of the image')
    const { scanPackages } = await import('./sbom/scan.ts')
    const { spdxDocument } = await import('./sbom/spdx.ts')
    await using tree = await deps.openTree(result, signal)
    const packages = await scanPackages(tree, { temporaryDirectory: deps.temporaryDirectory, signal })
    status(`${packages.length} packages`)
    return spdxDocument(packages, { name, createdAt: fixed ?? now() })
  }

  return {
    async attest(build, subject, context) {
      const claims: Claim[] = []
      if (settings.sbom === true) {
        const [name] = subject.names
        claims.push(await bomOf(build, name === undefined ? 'image' : formatReference(name), context))
      }
      if (settings.provenance !== undefined) {
        const times = { startedAt: fixed ?? startedAt, finishedAt: fixed ?? now() }
        const facts = { request, target: build.target, record, hostPlatform, ...times }
        claims.push(provenance(settings.provenance, facts))
      }
      if (claims.length === 0) return []
      return [createAttestation({ ...subject, platform: build.platform }, claims)]
    },
  }
}
