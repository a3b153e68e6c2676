import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseConfig } from '../../../src/cli/config.ts'
import { asksForChroot, parseIsolation } from '../../../src/cli/isolation.ts'

describe('isolation', () => {
  it('is oci or chroot, and default as engines have it', () => {
    assert.equal(parseIsolation('chroot', '--isolation'), 'chroot')
    assert.equal(parseIsolation('default', '--isolation'), 'oci')
    assert.throws(() => parseIsolation('hyperv', '--isolation'), {
      code: 'usage',
      message: '--isolation is oci or chroot, not "hyperv"',
    })
  })

  it('is refused with its line in the configuration', () =>
    assert.rejects(parseConfig('[build]\nisolation = "jail"\n', 'f.toml'), {
      code: 'config-invalid-file',
      message: /f\.toml:2: build\.isolation must be oci or chroot/,
    }))

  for (const [argv, variable, wanted] of [
    [['build', '--isolation=chroot', '.'], undefined, true],
    [['build', '--isolation', 'chroot', '.'], 'oci', true],
    [['build', '--isolation=oci', '.'], 'chroot', false],
    [['build', '.'], 'chroot', true],
    [['build', '.'], undefined, false],
    [['build', '--isolation'], undefined, false],
  ] as const)
    it(`asksForChroot(${JSON.stringify(argv)}) with SLIPWAY_ISOLATION=${variable} is ${wanted}`, () =>
      assert.equal(asksForChroot(argv, { SLIPWAY_ISOLATION: variable }), wanted))
})
