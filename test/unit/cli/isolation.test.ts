import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { configuredIsolation, parseConfig } from '../../../src/cli/config/config.ts'
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
    [['build', '--isolation=oci', '--config=chroot.toml', '.'], 'chroot', false],
    [['build', '.'], 'chroot', true],
    [['build', '--config=chroot.toml', '.'], 'oci', false],
    [['build', '--config', 'chroot.toml', '.'], '', true],
    [['build', '--config=chroot.toml', '.'], undefined, true],
    [['build', '.'], undefined, false],
    [['build', '--isolation'], undefined, false],
  ] as const)
    it(`asksForChroot(${JSON.stringify(argv)}) with SLIPWAY_ISOLATION=${variable} is ${wanted}`, async () => {
      const configured = async (file: string | undefined) => (file === 'chroot.toml' ? 'chroot' : 'oci')
      assert.equal(await asksForChroot(argv, { SLIPWAY_ISOLATION: variable }, configured), wanted)
    })

  it('of the configuration is known before all options are, and oci where the file is refused later', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-isolation-'))
    try {
      const place = { env: { XDG_CONFIG_HOME: folder }, homeDirectory: folder, workingDirectory: folder }
      await writeFile(join(folder, 'named.toml'), '[build]\nisolation = "chroot"\n')
      await mkdir(join(folder, 'slipway'))
      await writeFile(join(folder, 'slipway/slipway.toml'), 'no = "key"\n')
      assert.equal(await configuredIsolation('named.toml', place), 'chroot')
      assert.equal(await configuredIsolation(undefined, place), 'oci')
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
