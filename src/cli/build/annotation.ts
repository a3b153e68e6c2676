import { ANNOTATION_LEVELS, type Annotation } from '../../builder/export/image-settings.ts'
import { type Platform, parsePlatform } from '../../oci/platform.ts'
import type { Refuse } from '../command.ts'

/** `NAME=VALUE`, of the manifest; or `index,manifest[linux/amd64]:NAME=VALUE`, of each level that it names. */
export function parseAnnotation(text: string, host: Platform, refuse: Refuse): readonly Annotation[] {
  const [, levels = 'manifest', key, value = ''] =
    /^(?:((?:[a-z-]+(?:\[[^\]]*\])?)(?:,[a-z-]+(?:\[[^\]]*\])?)*):)?([^=]+)=(.*)$/s.exec(text) ?? []
  if (key === undefined) throw refuse(`--annotation ${JSON.stringify(text)} is not [LEVEL:]NAME=VALUE`)
  return levels.split(/,(?![^[]*\])/).map(named => {
    const [, name = named, platform] = /^([a-z-]+)(?:\[(.*)\])?$/.exec(named) ?? []
    const level = ANNOTATION_LEVELS.find(known => known === name)
    if (level === undefined)
      throw refuse(
        `--annotation ${JSON.stringify(text)}: ${name} is not one of ${ANNOTATION_LEVELS.join(', ')}`,
      )
    return { level, key, value, ...(platform && { platform: parsePlatform(platform, host) }) }
  })
}
