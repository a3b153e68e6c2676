import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Arguments } from '../../../../src/cli/arguments.ts'
import { readAttestOptions } from '../../../../src/cli/build/attest-options.ts'
import { VERSION } from '../../../../src/cli/version.ts'

const read = (given: Readonly<Record<string, readonly string[]>>) =>
  readAttestOptions(
    new Arguments([], new Map(Object.entries(given).map(([name, values]) => [name, [...values]]))),
    problem => new Error(problem),
  ).attestations
const builderID = `pkg:generic/slipway@${VERSION}`

describe('readAttestOptions()', () => {
  it('attaches nothing that is not asked for', () => {
    assert.deepEqual(read({}), {})
    assert.deepEqual(read({ provenance: ['false'], sbom: ['0'] }), { sbom: false })
  })

  it('reads the short forms and the long one', () => {
    assert.deepEqual(read({ provenance: ['true'] }), { provenance: { mode: 'min', builderID } })
    assert.deepEqual(read({ provenance: ['mode=max,version=v1'], sbom: ['true'] }), {
      provenance: { mode: 'max', builderID },
      sbom: true,
    })
    assert.deepEqual(read({ attest: ['type=sbom', 'type=provenance,mode=max,builder-id=https://x/y'] }), {
      sbom: true,
      provenance: { mode: 'max', builderID: 'https://x/y' },
    })
  })

  it('lets the last word count', () => {
    assert.deepEqual(read({ attest: ['type=provenance,mode=max'], provenance: ['false'] }), {})
    assert.deepEqual(read({ attest: ['type=sbom', 'type=sbom,disabled=true'] }), { sbom: false })
  })

  const bad: readonly (readonly [string, Readonly<Record<string, readonly string[]>>, RegExp])[] = [
    ['an unknown type', { attest: ['type=vex'] }, /type= is provenance or sbom, not "vex"/],
    ['no type', { attest: ['mode=max'] }, /not ""/],
    ['an unknown mode', { provenance: ['mode=all'] }, /mode= is min or max, not "all"/],
    ['SLSA of old', { provenance: ['mode=min,version=v0.2'] }, /version=v0.2 is not supported/],
    ['a generator', { sbom: ['generator=x/y'] }, /generator= is not supported/],
    ['an unknown key', { attest: ['type=sbom,mode=max'] }, /type=sbom does not take mode=/],
    ['what is no pair', { provenance: ['max'] }, /"max" is not KEY=VALUE/],
    ['what is no truth', { attest: ['type=sbom,disabled=perhaps'] }, /disabled= takes true or false/],
  ]
  for (const [name, given, problem] of bad)
    it(`refuses ${name}`, () => assert.throws(() => read(given), problem))
})
