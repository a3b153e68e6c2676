/** What is said of the image beside it: `--provenance`, `--sbom`, and `--attest`, which is both. */
import type { BuildOptions } from '../../builder/build-options.ts'
import { parseCsvRecord } from '../../builder/dockerfile/csv.ts'
import { parseGoBoolean } from '../../builder/dockerfile/go-boolean.ts'
import type { Arguments } from '../arguments.ts'
import type { OptionSpecs, Refuse } from '../command.ts'
import { VERSION } from '../version.ts'
import { readBooleanField } from './boolean-field.ts'

type Settings = BuildOptions['attestations']
type Provenance = NonNullable<Settings['provenance']>

export const ATTEST_OPTIONS: OptionSpecs = {
  provenance: {
    value: 'true|mode=max',
    help: 'Attach how the image was built; mode=max tells args and steps',
  },
  sbom: { value: 'true', help: 'Attach a list of the packages in the image (SPDX)' },
  attest: {
    value: 'type=TYPE[,KEY=VALUE]',
    repeated: true,
    help: 'Attach an attestation: type=provenance or type=sbom',
  },
}

/** Of several words about one type the last counts; nothing is attached unless it is asked for. */
export function readAttestOptions(args: Arguments, refuse: Refuse): Pick<BuildOptions, 'attestations'> {
  const given = args.values('attest').map(text => readFields('attest', text, refuse))
  const [provenance, sbom] = [args.value('provenance'), args.value('sbom')]
  if (provenance !== undefined) given.push(shorthand('provenance', provenance, refuse))
  if (sbom !== undefined) given.push(shorthand('sbom', sbom, refuse))
  let attestations: Settings = {}
  for (const fields of given) {
    const type = fields.get('type')
    const isDisabled = readBooleanField('--attest', fields, 'disabled', false, refuse)
    if (type === 'provenance') {
      const { provenance: _, ...others } = attestations
      const wanted = readProvenance(fields, refuse)
      attestations = isDisabled ? others : { ...others, provenance: wanted }
    } else if (type === 'sbom') {
      checkSbom(fields, refuse)
      attestations = { ...attestations, sbom: !isDisabled }
    } else throw refuse(`--attest type= is provenance or sbom, not ${JSON.stringify(type ?? '')}`)
  }
  return { attestations }
}

type Fields = ReadonlyMap<string, string>

/** `true`, `false`, or the fields themselves. */
function shorthand(type: string, text: string, refuse: Refuse): Fields {
  const flag = parseGoBoolean(text)
  if (flag !== undefined) return new Map([['type', type], ...(flag ? [] : [['disabled', 'true'] as const])])
  return new Map([...readFields(type, text, refuse), ['type', type]])
}

function readProvenance(fields: Fields, refuse: Refuse): Provenance {
  refuseOthers(fields, ['type', 'disabled', 'mode', 'version', 'builder-id'], refuse)
  const mode = fields.get('mode') ?? 'min'
  if (mode !== 'min' && mode !== 'max')
    throw refuse(`--provenance mode= is min or max, not ${JSON.stringify(mode)}`)
  const version = fields.get('version') ?? 'v1'
  if (version !== 'v1')
    throw refuse(`--provenance version=${version} is not supported: SLSA version v1 is what is written`)
  return { mode, builderID: fields.get('builder-id') ?? `pkg:generic/slipway@${VERSION}` }
}

function checkSbom(fields: Fields, refuse: Refuse): void {
  if (fields.has('generator'))
    throw refuse('--sbom generator= is not supported: the packages are found without running an image')
  refuseOthers(fields, ['type', 'disabled'], refuse)
}

function refuseOthers(fields: Fields, known: readonly string[], refuse: Refuse): void {
  const other = [...fields.keys()].find(key => !known.includes(key))
  if (other !== undefined) throw refuse(`--attest type=${fields.get('type')} does not take ${other}=`)
}

function readFields(option: string, text: string, refuse: Refuse): Fields {
  const pairs = parseCsvRecord(text)?.map(field => /^([^=]+)=(.*)$/s.exec(field))
  if (pairs === undefined || pairs.includes(null))
    throw refuse(`--${option} ${JSON.stringify(text)} is not KEY=VALUE[,KEY=VALUE]`)
  return new Map(pairs.map(pair => [(pair?.[1] ?? '').trim().toLowerCase(), (pair?.[2] ?? '').trim()]))
}
