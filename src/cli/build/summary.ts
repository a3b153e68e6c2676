import type { BuildOptions, BuildResult } from '../../builder/build-options.ts'
import type { Output } from '../../builder/export/output.ts'
import { isIndex } from '../../oci/media-type.ts'
import { formatPlatform } from '../../oci/platform.ts'
import { LATEST, repositoryOf } from '../../oci/reference.ts'
import { formatFrame } from '../report.ts'
import { formatAddress, localAddress, parseListen } from '../serve/listen.ts'
import { formatBytes, formatSeconds } from '../text/format.ts'
import { printable } from '../text/printable.ts'

/** What the end of a build says: the image, what was written, how to pull it. */
export function formatSummary(
  options: Pick<BuildOptions, 'tags' | 'outputs'>,
  result: BuildResult,
  { listen, tookMs }: { readonly listen: string; readonly tookMs: number },
): string {
  const lines = [
    ...(makesImage(options) ? imageLines(options, result) : []),
    ...options.outputs.flatMap(writtenLine),
    `time    ${formatSeconds(tookMs, 1)}s`,
    ...(result.logs === undefined ? [] : [`logs    ${result.logs}`]),
    ...(isStored(options) ? nextLines(options, listen) : []),
  ]
  return `${lines.join('\n')}\n`
}

/** What a build warns of, each with its place. */
export function formatWarnings(warnings: BuildResult['warnings']): string {
  return warnings
    .map(({ text, span, rule }) => {
      const frame = span === undefined ? '' : `${formatFrame(span)}\n`
      return `${frame}warning: ${rule === undefined ? '' : `${rule}: `}${printable(text)}\n`
    })
    .join('')
}

/** The content of `--metadata-file`, with BuildKit's keys; without an image there is nothing to tell. */
export function buildMetadata(
  options: Pick<BuildOptions, 'tags' | 'outputs'>,
  result: Pick<BuildResult, 'imageID' | 'descriptor' | 'digest'>,
): Readonly<Record<string, unknown>> {
  if (!makesImage(options)) return {}
  return {
    ...(!isIndex(result.descriptor.mediaType) && { 'containerimage.config.digest': result.imageID }),
    'containerimage.descriptor': result.descriptor,
    'containerimage.digest': result.digest,
    ...(options.tags.length > 0 && { 'image.name': tagNames(options).join(',') }),
  }
}

function imageLines(options: Pick<BuildOptions, 'tags'>, result: BuildResult): readonly string[] {
  return [
    `image   ${options.tags.length > 0 ? tagNames(options).join(', ') : result.imageID}`,
    `digest  ${result.digest}`,
    ...(isIndex(result.descriptor.mediaType) ? result.images.map(platformLine) : []),
    `size    ${formatBytes(result.size)} compressed`,
  ]
}

function platformLine({ platform, digest }: BuildResult['images'][number]): string {
  return `        ${digest}  ${formatPlatform(platform)}`
}

function writtenLine(output: Output): readonly string[] {
  if (!('dest' in output)) return []
  return [`wrote   ${output.type} to ${typeof output.dest === 'string' ? output.dest : 'standard output'}`]
}

function nextLines(options: Pick<BuildOptions, 'tags' | 'outputs'>, listen: string): readonly string[] {
  const [first] = tagNames(options)
  if (first === undefined)
    return ["name    none, so 'slipway gc' will delete it: build again with -t NAME to give it one"]
  const own = options.tags.find(tag => tag.registry === undefined)
  if (own === undefined) return isPushed(options) ? [] : [`push    slipway push ${first}`]
  const host = formatAddress(localAddress(parseListen(listen)))
  return [`pull    docker pull ${host}/${tagNames({ tags: [own] })[0]}   (while 'slipway serve' runs)`]
}

function isPushed({ outputs }: Pick<BuildOptions, 'outputs'>): boolean {
  return outputs.some(output => output.type === 'store' && output.push !== undefined)
}

function isStored({ outputs }: Pick<BuildOptions, 'outputs'>): boolean {
  return outputs.length === 0 || outputs.some(output => output.type === 'store')
}

/** An image is what the store and archives hold; directories and plain tars hold its files. */
function makesImage(options: Pick<BuildOptions, 'outputs'>): boolean {
  return isStored(options) || options.outputs.some(({ type }) => type === 'oci' || type === 'docker')
}

function tagNames({ tags }: Pick<BuildOptions, 'tags'>): readonly string[] {
  return tags.map(tag => `${repositoryOf(tag)}:${tag.tag ?? LATEST}`)
}
