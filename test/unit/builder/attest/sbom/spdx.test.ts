import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { FoundPackage } from '../../../../../src/builder/attest/sbom/package.ts'
import { spdxDocument } from '../../../../../src/builder/attest/sbom/spdx.ts'
import { isLicenseExpression } from '../../../../../src/builder/attest/sbom/spdx-licenses.ts'

const packages: readonly FoundPackage[] = [
  { name: 'a', version: '1', purl: 'pkg:npm/a@1', license: 'MIT OR Apache-2.0', evidence: 'app/a' },
  { name: 'b', version: '', purl: 'pkg:npm/b', license: 'See LICENSE', evidence: 'app/b' },
  { name: 'c', version: '3', purl: 'pkg:npm/c@3', evidence: 'app/c' },
]
const options = { name: 'app:1', createdAt: 1_600_000_000_500 }
// biome-ignore lint/suspicious/noExplicitAny: the document is what is tested
const document = spdxDocument(packages, options).predicate as any

describe('spdxDocument()', () => {
  it('has what SPDX 2.3 requires of a document (section 6)', () => {
    assert.equal(document.spdxVersion, 'SPDX-2.3')
    assert.equal(document.dataLicense, 'CC0-1.0')
    assert.equal(document.SPDXID, 'SPDXRef-DOCUMENT')
    assert.equal(document.name, 'app:1')
    assert.doesNotThrow(() => new URL(document.documentNamespace))
    assert.ok(!document.documentNamespace.includes('#'))
    assert.equal(document.creationInfo.created, '2020-09-13T12:26:40Z')
    for (const creator of document.creationInfo.creators)
      assert.match(creator, /^(Tool|Organization|Person): \S/)
  })

  it('has what it requires of packages (section 7), and IDs that are unique', () => {
    const ids = document.packages.map((item: { SPDXID: string }) => item.SPDXID)
    assert.equal(new Set(ids).size, packages.length + 1)
    for (const item of document.packages) {
      assert.match(item.SPDXID, /^SPDXRef-[A-Za-z0-9.-]+$/)
      assert.ok(item.name !== '')
      assert.equal(item.downloadLocation, 'NOASSERTION')
      // Without files there must be neither a verification code nor files.
      assert.equal(item.filesAnalyzed, false)
      assert.equal(item.packageVerificationCode, undefined)
      for (const ref of item.externalRefs ?? [])
        assert.deepEqual([ref.referenceCategory, ref.referenceType], ['PACKAGE-MANAGER', 'purl'])
    }
  })

  it('tells licences as expressions, or as texts that it holds itself (sections 7.15 and 10)', () => {
    const [, a, b, c] = document.packages
    assert.equal(a.licenseDeclared, 'MIT OR Apache-2.0')
    assert.match(b.licenseDeclared, /^LicenseRef-[A-Za-z0-9.-]+$/)
    assert.equal(c.licenseDeclared, 'NOASSERTION')
    assert.deepEqual(document.hasExtractedLicensingInfos, [
      { licenseId: b.licenseDeclared, name: 'See LICENSE', extractedText: 'See LICENSE' },
    ])
  })

  it('describes something, and relates only what it holds (sections 6, 11)', () => {
    const ids = new Set([
      document.SPDXID,
      ...document.packages.map((item: { SPDXID: string }) => item.SPDXID),
    ])
    const types = document.relationships.map((item: { relationshipType: string }) => item.relationshipType)
    assert.deepEqual(types, ['DESCRIBES', 'CONTAINS', 'CONTAINS', 'CONTAINS'])
    for (const { spdxElementId, relatedSpdxElement } of document.relationships)
      assert.ok(ids.has(spdxElementId) && ids.has(relatedSpdxElement))
  })

  it('is a function of the packages and the time', () => {
    assert.deepEqual(spdxDocument(packages, options).predicate, document)
    const other = spdxDocument(packages.slice(1), options).predicate
    assert.notEqual((other as typeof document).documentNamespace, document.documentNamespace)
  })

  it('holds nothing but the image where there are no packages', () => {
    const empty = spdxDocument([], options).predicate as typeof document
    assert.equal(empty.packages.length, 1)
    assert.equal(empty.relationships.length, 1)
    assert.equal(empty.hasExtractedLicensingInfos, undefined)
  })
})

describe('isLicenseExpression()', () => {
  for (const text of ['MIT', '(MIT)', 'MIT AND (Apache-2.0 OR ISC)'])
    it(`takes ${text}`, () => assert.ok(isLicenseExpression(text)))
  for (const text of ['', 'MIT License', 'MIT OR', 'OR MIT', '(MIT', 'MIT)', 'MIT MIT', 'NOASSERTION', '()'])
    it(`refuses ${JSON.stringify(text)}`, () => assert.ok(!isLicenseExpression(text)))
})
