import type { Descriptor } from '../../oci/descriptor.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { indexBytes } from '../../oci/manifest.ts'
import { MEDIA_TYPE } from '../../oci/media-type.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import { type Handlers, jsonBytesAnswer } from '../exchange.ts'

/** An answer is an index, and clients need not read larger ones than this. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024 - 1024
const MAX_ANSWER_REFERRERS = 1000

/** end-12a, end-12b. An unknown repository or subject has no referrers: that is an answer, not an error. */
export function referrersHandlers(name: RepositoryName, subject: Digest): Handlers {
  return {
    async GET({ repositories, query }) {
      const artifactType = query.get('artifactType') || undefined
      const last = query.get('last')
      const all = repositories.listReferrers(name, subject, last === null ? undefined : parseDigest(last))
      const { manifests, next } = await firstPage(all, artifactType)
      const filter = artifactType === undefined ? '' : `artifactType=${encodeURIComponent(artifactType)}&`
      return jsonBytesAnswer(indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests }), MEDIA_TYPE.ociIndex, {
        ...(artifactType !== undefined && { 'OCI-Filters-Applied': 'artifactType' }),
        ...(next !== undefined && {
          Link: `</v2/${name}/referrers/${subject}?${filter}last=${next}>; rel="next"`,
        }),
      })
    },
  }
}

interface Page {
  readonly manifests: readonly Descriptor[]
  /** After which the next page begins, where there is one. */
  readonly next?: Digest
}

/** As many as fit into an answer. At least one, or the list would never end. */
async function firstPage(all: AsyncIterable<Descriptor>, artifactType: string | undefined): Promise<Page> {
  const manifests: Descriptor[] = []
  let bytes = 0
  for await (const descriptor of all) {
    if (artifactType !== undefined && descriptor.artifactType !== artifactType) continue
    bytes += Buffer.byteLength(JSON.stringify(descriptor)) + 1
    const last = manifests.at(-1)
    const isFull = bytes > MAX_ANSWER_BYTES || manifests.length === MAX_ANSWER_REFERRERS
    if (isFull && last !== undefined) return { manifests, next: last.digest }
    manifests.push(descriptor)
  }
  return { manifests }
}
