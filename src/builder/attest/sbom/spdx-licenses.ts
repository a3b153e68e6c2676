/** Names on the SPDX license list that packages use most; one that is not here is written as a text of its own. */
const IDS: ReadonlySet<string> = new Set(
  `0BSD AFL-2.1 AFL-3.0 AGPL-3.0-only AGPL-3.0-or-later Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-1.0-Perl Artistic-2.0
  BlueOak-1.0.0 BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-4-Clause BSL-1.0 bzip2-1.0.6 CC-BY-3.0
  CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 curl EPL-1.0 EPL-2.0 FSFAP FSFUL FTL GFDL-1.3-only
  GFDL-1.3-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only GPL-3.0-or-later HPND ICU
  IJG ImageMagick ISC JSON LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only
  LGPL-3.0-or-later Libpng libtiff MirOS MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA NTP OFL-1.1 OLDAP-2.8 OpenSSL PostgreSQL
  PSF-2.0 Python-2.0 Ruby SSH-OpenSSH TCL Unicode-3.0 Unicode-DFS-2016 Unlicense UPL-1.0 Vim W3C WTFPL X11 Zlib
  ZPL-2.1`.split(/\s+/),
)

/** `MIT AND (Apache-2.0 OR BSD-3-Clause)`: known names, operators and balanced parentheses. */
export function isLicenseExpression(text: string): boolean {
  const words = text.match(/[()]|[^\s()]+/g) ?? []
  let depth = 0
  let wantsName = true
  for (const word of words) {
    if (word === '(') {
      if (!wantsName) return false
      depth++
    } else if (word === ')') {
      if (wantsName || --depth < 0) return false
    } else if (wantsName) {
      if (!IDS.has(word)) return false
      wantsName = false
    } else {
      if (word !== 'AND' && word !== 'OR') return false
      wantsName = true
    }
  }
  return depth === 0 && !wantsName
}
