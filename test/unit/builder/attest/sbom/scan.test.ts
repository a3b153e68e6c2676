import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, it } from 'node:test'
import { scanPackages } from '../../../../../src/builder/attest/sbom/scan.ts'
import { BuildError } from '../../../../../src/builder/errors.ts'
import { type Files, memoryTree } from '../../export/memory-tree.ts'

const temporaryDirectory = mkdtempSync(join(tmpdir(), 'slipway-sbom-'))
after(() => rmSync(temporaryDirectory, { recursive: true, force: true }))

/** Files by path; their folders are made. */
function scan(files: Readonly<Record<string, string | Files[string]>>) {
  const all: Record<string, Files[string]> = { '': {} }
  for (const [path, file] of Object.entries(files)) {
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth++) all[parts.slice(0, depth).join('/')] ??= {}
    all[path] = typeof file === 'string' ? { content: file } : file
  }
  return scanPackages(memoryTree(all), { temporaryDirectory, signal: new AbortController().signal })
}

async function purls(files: Parameters<typeof scan>[0]): Promise<readonly string[]> {
  return (await scan(files)).map(({ purl }) => purl)
}

const DEBIAN = {
  'etc/os-release': { link: '../usr/lib/os-release' },
  'usr/lib/os-release': 'ID=debian\nVERSION_ID="12"\n',
}

describe('scanPackages() of distributions', () => {
  it('reads the status of dpkg: what is installed, with its source', async () => {
    const status = `Package: libc6
Status: install ok installed
Source: glibc (2.36-9)
Architecture: amd64
Version: 2.36-9+deb12u1
Description: lines
 Version: 9.9 is not the version
 .

Package: gone
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok half-installed
Version: 1
`
    assert.deepEqual(await purls({ ...DEBIAN, 'var/lib/dpkg/status': status }), [
      'pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=glibc%402.36-9',
    ])
  })

  it('reads a file per package, as images without dpkg have them', async () => {
    const found = await purls({
      ...DEBIAN,
      'var/lib/dpkg/status.d/tzdata': 'Package: tzdata\nVersion: 2024a\nArchitecture: all\n',
      'var/lib/dpkg/status.d/tzdata.md5sums': 'Package: no\nVersion: 1\n',
    })
    assert.deepEqual(found, ['pkg:deb/debian/tzdata@2024a?arch=all&distro=debian-12'])
  })

  it('reads the database of apk, with licences', async () => {
    const installed =
      'C:Q1x\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\no:musl\nF:lib\nR:ld-musl-x86_64.so.1\n\nP:busybox-binsh\nV:1\nA:x86_64\no:busybox\n'
    const found = await scan({
      'etc/os-release': 'ID=alpine\nVERSION_ID=3.19.1\n',
      'lib/apk/db/installed': installed,
    })
    assert.deepEqual(
      found.map(({ purl, license }) => [purl, license]),
      [
        ['pkg:apk/alpine/busybox-binsh@1?arch=x86_64&distro=alpine-3.19.1&upstream=busybox', undefined],
        ['pkg:apk/alpine/musl@1.2.4-r2?arch=x86_64&distro=alpine-3.19.1', 'MIT'],
      ],
    )
  })

  it('reads the database of rpm, and leaves no copy of it behind', async () => {
    const file = sqlite(database => {
      database.exec('CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)')
      const insert = database.prepare('INSERT INTO Packages (blob) VALUES (?)')
      insert.run(
        rpmHeader({
          1000: 'bash',
          1001: '5.2',
          1002: '1.fc40',
          1003: 2,
          1014: 'GPL-3.0-or-later',
          1022: 'x86_64',
          1044: 'bash.src.rpm',
        }),
      )
      insert.run(rpmHeader({ 1000: 'gpg-pubkey', 1001: 'a', 1002: 'b' }))
      insert.run(Buffer.from('not a header'))
      insert.run(Buffer.from('ffffffffffffffff', 'hex'))
    })
    const found = await scan({
      'etc/os-release': 'ID=fedora\nVERSION_ID=40\n',
      'var/lib/rpm/rpmdb.sqlite': { content: file },
    })
    assert.deepEqual(
      found.map(({ purl, license }) => [purl, license]),
      [
        [
          'pkg:rpm/fedora/bash@5.2-1.fc40?arch=x86_64&distro=fedora-40&epoch=2&upstream=bash.src.rpm',
          'GPL-3.0-or-later',
        ],
      ],
    )
    assert.deepEqual(readdirSync(temporaryDirectory), [])
  })

  it('does not run what a database says: a view without an end, no database at all', async () => {
    const endless = sqlite(database =>
      database.exec(
        "CREATE VIEW Packages AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT x'00' AS blob FROM n WHERE i < 0",
      ),
    )
    const computed = sqlite(database => {
      const header = rpmHeader({ 1000: 'a', 1001: '1' }).toString('hex')
      database.exec(`CREATE TABLE Packages (n, blob GENERATED ALWAYS AS (x'${header}'))`)
      database.exec('INSERT INTO Packages (n) VALUES (1)')
    })
    const large = sqlite(database => {
      database.exec('CREATE TABLE Packages (blob BLOB)')
      const header = Buffer.concat([rpmHeader({ 1000: 'a', 1001: '1' }), Buffer.alloc(16 * 1024 * 1024)])
      database.prepare('INSERT INTO Packages VALUES (?)').run(header)
    })
    for (const content of [
      { content: endless },
      { content: computed },
      { content: large },
      { content: 'SQLite format 3\0 and then nothing of it' },
      { content: '' },
    ])
      assert.deepEqual(await purls({ 'usr/lib/sysimage/rpm/rpmdb.sqlite': content }), [])
  })
})

describe('scanPackages() of languages', () => {
  it('reads lock files of npm, yarn and pnpm', async () => {
    const packages = {
      '': { name: 'app', version: '0.0.0' },
      'node_modules/a': { version: '1.0.0', license: 'MIT' },
      'node_modules/@s/b': { version: '2.0.0' },
      'node_modules/a/node_modules/c': { version: '3.0.0' },
      'node_modules/alias': { name: 'real', version: '4.0.0' },
      'node_modules/own': { link: true },
      'node_modules/git': { version: 'git+ssh://x#1' },
    }
    const old = { dependencies: { d: { version: '5.0.0', dependencies: { e: { version: '6.0.0' } } } } }
    const yarn =
      '# yarn lockfile v1\n\n"@t/f@^1", "@t/f@~1":\n  version "7.0.0"\n\ng@1:\n  version "8.0.0"\n  dependencies:\n    version "0"\n'
    const berry =
      '__metadata:\n  version: 8\n\n"h@npm:^1":\n  version: 9.0.0\n\n"me@workspace:.":\n  version: 0.0.0\n'
    const pnpm =
      "lockfileVersion: '9.0'\nimporters:\n  no@1.0.0:\npackages:\n  '@u/i@1.1.0':\n    resolution: {}\n  /j@1.2.0(k@1):\n  /l/1.3.0_m@1:\nsnapshots:\n  no@2.0.0:\n"
    const found = await purls({
      'app/package-lock.json': JSON.stringify({ packages }),
      'old/package-lock.json': JSON.stringify(old),
      'y/yarn.lock': yarn,
      'z/yarn.lock': berry,
      'p/pnpm-lock.yaml': pnpm,
    })
    assert.deepEqual(found, [
      'pkg:npm/%40s/b@2.0.0',
      'pkg:npm/%40t/f@7.0.0',
      'pkg:npm/%40u/i@1.1.0',
      'pkg:npm/a@1.0.0',
      'pkg:npm/c@3.0.0',
      'pkg:npm/d@5.0.0',
      'pkg:npm/e@6.0.0',
      'pkg:npm/g@8.0.0',
      'pkg:npm/h@9.0.0',
      'pkg:npm/j@1.2.0',
      'pkg:npm/l@1.3.0',
      'pkg:npm/real@4.0.0',
    ])
  })

  it('reads what is installed of npm, pip and gem', async () => {
    const found = await scan({
      'app/node_modules/@s/x/package.json': '{"name":"@s/x","version":"1.0.0","license":{"type":"ISC"}}',
      'app/node_modules/y/lib/package.json': '{"name":"inner","version":"1.0.0"}',
      'usr/lib/python3/dist-packages/PyYAML-6.0.dist-info/METADATA':
        'Metadata-Version: 2.1\nName: PyYAML\nVersion: 6.0\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: MIT License\n\nName: other\n',
      'usr/lib/python3/dist-packages/old_one.egg-info':
        'Name: old_one.x\nVersion: 1.0\nLicense: BSD-3-Clause\n',
      'gems/specifications/rake-13.0.6.gemspec': 'x',
      'gems/specifications/default/x-y-1.0-java.gemspec': 'x',
    })
    assert.deepEqual(
      found.map(({ purl, license }) => [purl, license]),
      [
        ['pkg:gem/rake@13.0.6', undefined],
        ['pkg:gem/x-y@1.0', undefined],
        ['pkg:npm/%40s/x@1.0.0', 'ISC'],
        ['pkg:pypi/old-one-x@1.0', 'BSD-3-Clause'],
        ['pkg:pypi/pyyaml@6.0', 'MIT License'],
      ],
    )
  })

  it('reads lock files of Rust, Ruby and PHP', async () => {
    const found = await purls({
      'Cargo.lock':
        '[[package]]\nname = "own"\nversion = "0.1.0"\n\n[[package]]\nname = "serde"\nversion = "1.0.1"\nsource = "registry+x"\n',
      'Gemfile.lock':
        'GIT\n  specs:\n    no (1)\nGEM\n  specs:\n    rack (3.0.0)\n      dep (>= 1)\n\nPLATFORMS\n    no (2)\n',
      'composer.lock':
        '{"packages":[{"name":"a/b","version":"v1.0","license":["MIT"]}],"packages-dev":[{"name":"c/d","version":"2"}]}',
    })
    assert.deepEqual(found, [
      'pkg:cargo/serde@1.0.1',
      'pkg:composer/a/b@v1.0',
      'pkg:composer/c/d@2',
      'pkg:gem/rack@3.0.0',
    ])
  })

  it('reads the modules of Go programs', async () => {
    const modules =
      'path\texample.org/app\nmod\texample.org/app\t(devel)\t\ndep\tgolang.org/x/net\tv0.1.0\th1:x\ndep\told/one\tv1\th1:y\n=>\tnew/one\tv2\th1:z\n'
    const program = (text: string, magic = '\x7fELF'): Files[string] => ({
      content: Buffer.concat([
        Buffer.from(`${magic}${'-'.repeat(300_000)}`, 'latin1'),
        Buffer.from('\xff Go buildinf:\x08\x02', 'latin1'),
        Buffer.alloc(16),
        varintText('go1.22.1'),
        varintText(`0123456789abcdef${text}0123456789abcdef`),
      ]),
      mode: 0o755,
    })
    const found = await purls({ 'bin/app': program(modules), 'bin/script': program(modules, '#!/b') })
    assert.deepEqual(found, [
      'pkg:golang/example.org/app',
      'pkg:golang/golang.org/x/net@v0.1.0',
      'pkg:golang/new/one@v2',
      'pkg:golang/stdlib@1.22.1',
    ])
  })

  it("counts what a distribution's package brought along as that package", async () => {
    const metadata = 'Name: PyYAML\nVersion: 6.0\n'
    const found = await purls({
      'var/lib/dpkg/status': 'Package: python3-yaml\nStatus: install ok installed\nVersion: 6.0-3\n',
      'var/lib/dpkg/info/python3-yaml.list': '/.\n/lib/python3/PyYAML.dist-info/METADATA\n',
      'usr/lib/python3/PyYAML.dist-info/METADATA': metadata,
      'usr/local/lib/python3/Own.dist-info/METADATA': 'Name: Own\nVersion: 1\n',
    })
    assert.deepEqual(found, ['pkg:deb/debian/python3-yaml@6.0-3', 'pkg:pypi/own@1'])
  })

  it('takes hostile files for what they are: no packages, at no cost', async () => {
    const long = 'x'.repeat(100_000)
    const files: Record<string, string> = {}
    for (const name of [
      'package-lock.json',
      'yarn.lock',
      'pnpm-lock.yaml',
      'Cargo.lock',
      'Gemfile.lock',
      'composer.lock',
    ])
      for (const [index, content] of [
        '',
        '[]',
        'null',
        '{"packages":{"node_modules/a":{"version":{}}},"dependencies":{"a":null}}',
        `${'['.repeat(50_000)}`,
        `"${long}@${long}:\n  version "1"\n`,
        `${long}\n${'\n'.repeat(1000)}[[package]]\nname = "${long}"\nversion = "1"\nsource = "x"\n`,
        `{"packages":[{"name":"${long}","version":"1"},{"name":"a\\u0000","version":"1"},7]}`,
      ].entries())
        files[`${index}/${name}`] = content
    assert.deepEqual(
      await purls({ ...files, 'var/lib/dpkg/status': `Package: ${long}\nStatus: a installed\n` }),
      [],
    )
  })
})

describe('scanPackages() of an image that would fill the memory', () => {
  it('reads no list that is longer than any is', async () => {
    const content = '{"packages":{"node_modules/a":{"version":"1"}}}'
    for (const [size, expected] of [
      [content.length, ['pkg:npm/a@1']],
      [32 * 1024 * 1024 + 1, []],
    ] as const)
      assert.deepEqual(await purls({ 'app/package-lock.json': { content, size } }), expected)
  })

  it('refuses more packages than a document can hold', async () => {
    const files = Object.fromEntries(
      ['a', 'b', 'c'].map(letter => [
        `${letter}/yarn.lock`,
        Array.from({ length: 70_000 }, (_, index) => `${letter}${index}@1:\n  version "1"\n`).join('\n'),
      ]),
    )
    await assert.rejects(
      scan(files),
      (error: unknown) => error instanceof BuildError && /more than 200000/.test(error.message),
    )
  })
})

function sqlite(fill: (database: DatabaseSync) => void): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-sqlite-'))
  try {
    const file = join(folder, 'x.sqlite')
    const database = new DatabaseSync(file)
    fill(database)
    database.close()
    return readFileSync(file)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Strings (type 6) and numbers (type 4). */
function rpmHeader(tags: Readonly<Record<number, string | number>>): Buffer {
  const entries: Buffer[] = []
  const data: Buffer[] = []
  let offset = 0
  for (const [tag, value] of Object.entries(tags)) {
    const bytes = typeof value === 'string' ? Buffer.from(`${value}\0`) : Buffer.alloc(4)
    if (typeof value === 'number') bytes.writeUInt32BE(value)
    const entry = Buffer.alloc(16)
    entry.writeUInt32BE(Number(tag), 0)
    entry.writeUInt32BE(typeof value === 'string' ? 6 : 4, 4)
    entry.writeUInt32BE(offset, 8)
    entry.writeUInt32BE(1, 12)
    entries.push(entry)
    data.push(bytes)
    offset += bytes.length
  }
  const head = Buffer.alloc(8)
  head.writeUInt32BE(entries.length, 0)
  head.writeUInt32BE(offset, 4)
  return Buffer.concat([head, ...entries, ...data])
}

function varintText(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length: number[] = []
  for (let left = bytes.length; ; left >>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left)
    if (left <= 127) break
  }
  return Buffer.concat([Buffer.from(length), bytes])
}
