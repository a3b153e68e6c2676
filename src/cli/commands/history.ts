import type { ImageConfig } from '../../oci/config.ts'
import type { ImageManifest } from '../../oci/manifest.ts'
import type { Command } from '../command.ts'
import { FORMAT_OPTION, wantsJson } from '../format-option.ts'
import { findImage, readImage } from '../images/stored-images.ts'
import { PLATFORM_OPTION, wantedPlatform } from '../images/wanted-platform.ts'
import { fitText } from '../progress/text-width.ts'
import { openSession } from '../session.ts'
import { formatAge, formatBytes } from '../text/format.ts'
import { printableLine } from '../text/printable.ts'
import { formatTable } from '../text/table.ts'

interface Row {
  readonly created?: string
  readonly createdBy: string
  /** Of the layer as stored, in bytes; 0 for a step without one. */
  readonly size: number
  readonly layer?: string
  readonly comment?: string
}

export const command: Command = {
  name: 'history',
  summary: 'Show how an image was made',
  usage: '[OPTIONS] IMAGE',
  details: 'Newest step first.',
  options: {
    'no-trunc': { help: 'Show instructions in full' },
    platform: PLATFORM_OPTION,
    format: FORMAT_OPTION,
  },
  positionals: { min: 1, max: 1 },
  async run(args, terminal) {
    const json = wantsJson(command, args)
    using session = await openSession(args, terminal)
    const image = findImage(session.store, args.positionals[0] ?? '')
    const details = await readImage(session.store, image.manifest, wantedPlatform(args, session.hostPlatform))
    const rows = historyRows(details.manifest, details.config).reverse()
    terminal.stdout.write(
      json ? `${JSON.stringify(rows, null, 2)}\n` : table(rows, terminal.now(), args.flag('no-trunc')),
    )
  },
}

/** Layers belong to the steps that are not empty, in order; layers without a step (an import) get a row of their own. */
function historyRows(manifest: ImageManifest, config: ImageConfig): Row[] {
  const layers = [...manifest.layers]
  const rows: Row[] = config.history.map(({ created, created_by, comment, empty_layer }) => {
    const layer = empty_layer === true ? undefined : layers.shift()
    return {
      ...(created !== undefined && { created }),
      createdBy: created_by ?? '',
      size: layer?.size ?? 0,
      ...(layer !== undefined && { layer: layer.digest }),
      ...(comment !== undefined && comment !== '' && { comment }),
    }
  })
  return [...rows, ...layers.map(layer => ({ createdBy: '', size: layer.size, layer: layer.digest }))]
}

function table(rows: readonly Row[], now: number, whole: boolean): string {
  return formatTable(
    ['CREATED', 'SIZE', 'CREATED BY', 'COMMENT'],
    rows.map(({ created, size, createdBy, comment }) => {
      const text = printableLine(createdBy)
      const shown = whole ? text : fitText(text, 60)
      return [formatAge(created, now), formatBytes(size), shown, printableLine(comment ?? '')]
    }),
  )
}
