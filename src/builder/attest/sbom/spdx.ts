/** A list of packages as an SPDX 2.3 document (spdx.github.io/spdx-spec/v2.3). */
import { digestHex, digestOf } from '../../../oci/digest.ts'
import type { Claim } from '../attestation.ts'
import type { FoundPackage } from './package.ts'
import { isLicenseExpression } from './spdx-licenses.ts'

export interface SpdxOptions {
  /** Of what the packages are in. */
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

/** Equal packages give an equal document, but for the time. */
export function spdxDocument(packages: readonly FoundPackage[], { name, createdAt }: SpdxOptions): Claim {
  const ids = packages.map(({ purl }) => `SPDXRef-Package-${shortHash(purl)}`)
  const licenses = new Map<string, string>()
  return {
    predicateType: 'https://spdx.dev/Document',
    predicate: {
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      name,
      documentNamespace: `https://spdx.org/spdxdocs/slipway-${digestHex(digestOf(JSON.stringify([name, packages])))}`,
      creationInfo: {
        created: new Date(createdAt).toISOString().replace(/\.\d+Z$/, 'Z'),
        creators: ['Tool: slipway'],
      },
      packages: [
        {
          name,
          SPDXID: ROOT,
          downloadLocation: 'NOASSERTION',
          filesAnalyzed: false,
          licenseConcluded: 'NOASSERTION',
          licenseDeclared: 'NOASSERTION',
          copyrightText: 'NOASSERTION',
          primaryPackagePurpose: 'CONTAINER',
        },
        ...packages.map((found, index) => describePackage(found, ids[index] ?? '', licenses)),
      ],
      ...(licenses.size > 0 && {
        hasExtractedLicensingInfos: [...licenses].map(([licenseId, extractedText]) => ({
          licenseId,
          name: extractedText,
          extractedText,
        })),
      }),
      relationships: [
        relationship('SPDXRef-DOCUMENT', 'DESCRIBES', ROOT),
        ...ids.map(id => relationship(ROOT, 'CONTAINS', id)),
      ],
    },
  }
}

const ROOT = 'SPDXRef-Image'

function describePackage(
  { name, version, purl, license, evidence }: FoundPackage,
  id: string,
  licenses: Map<string, string>,
): object {
  return {
    name,
    SPDXID: id,
    ...(version !== '' && { versionInfo: version }),
    downloadLocation: 'NOASSERTION',
    filesAnalyzed: false,
    sourceInfo: `found in /${evidence.toWellFormed()}`,
    licenseConcluded: 'NOASSERTION',
    licenseDeclared: license === undefined ? 'NOASSERTION' : declared(license, licenses),
    copyrightText: 'NOASSERTION',
    externalRefs: [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl }],
  }
}

/** An expression as it stands; any other text gets an ID of the document's own (SPDX 2.3, section 10). */
function declared(license: string, licenses: Map<string, string>): string {
  if (isLicenseExpression(license)) return license
  const id = `LicenseRef-${shortHash(license)}`
  licenses.set(id, license)
  return id
}

function relationship(spdxElementId: string, relationshipType: string, relatedSpdxElement: string): object {
  return { spdxElementId, relationshipType, relatedSpdxElement }
}

function shortHash(text: string): string {
  return digestHex(digestOf(text)).slice(0, 16)
}
