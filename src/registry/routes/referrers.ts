import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { indexBytes } from '../../oci/manifest.ts'
import { MEDIA_TYPE } from '../../oci/media-type.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import { type Handlers, jsonBytesAnswer } from '../exchange.ts'

/** An answer is an index, and clients need not read larger ones than this. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024 - 1024

/** end-12a, end-12b. An unknown repository or subject has no referrers: that is an answer, not an error. */
export function referrersHandlers(name: RepositoryName, subject: Digest): Handlers {
  return {
    async GET({ repositories, query }) {
      const artifactType = query.get('artifactType') || undefined
      const all = await repositories.listReferrers(name, subject)
      const wanted = all.filter(item => artifactType === undefined || item.artifactType === artifactType)
      const { manifests, rest } = cut(after(wanted, query.get('last')))
      const filter = artifactType === undefined ? '' : `artifactType=${encodeURIComponent(artifactType)}&`
      const last = manifests.at(-1)?.digest
      return jsonBytesAnswer(indexBytes({ mediaType: MEDIA_TYPE.ociIndex, manifests }), MEDIA_TYPE.ociIndex, {
        ...(artifactType !== undefined && { 'OCI-Filters-Applied': 'artifactType' }),
        ...(rest && { Link: `</v2/${name}/referrers/${subject}?${filter}last=${last}>; rel="next"` }),
      })
    },
  }
}

function after(descriptors: readonly Descriptor[], last: string | null): readonly Descriptor[] {
  return last === null
    ? descriptors
    : descriptors.slice(descriptors.findIndex(item => item.digest === last) + 1)
}

/** As many as fit into an answer, and whether any are left. At least one, or the list would never end. */
function cut(descriptors: readonly Descriptor[]): { manifests: readonly Descriptor[]; rest: boolean } {
  let bytes = 0
  const fits = descriptors.findIndex((item, index) => {
    bytes += Buffer.byteLength(JSON.stringify(item)) + 1
    return bytes > MAX_ANSWER_BYTES && index > 0
  })
  return fits < 0
    ? { manifests: descriptors, rest: false }
    : { manifests: descriptors.slice(0, fits), rest: true }
}
