# wgmma.awk - machine code (cuobjdump -sass) that writes registers which wgmma still reads.
#
# HGMMA reads its weights out of registers after it has been issued, until WARPGROUP.DEPBAR says
# that so many groups of them are left. PTX forbids to write them meanwhile, ptxas does not say where
# that is done, and the emulation, where products are done at once, cannot show it. The code is read
# straight on, and once around each loop. Prints each such instruction, then how many groups there
# are and how many of these; status 1 if there are any.

function width(op) { return op ~ /\.128/ ? 4 : op ~ /\.64|WIDE/ ? 2 : 1 }

# The number of the first register behind a pattern.
function number(s, behind) {
    sub(behind, "", s)
    return s + 0
}

# Registers r .. r + k - 1 are written by instruction i while group t reads some of them.
function report(i, r, k, group) {
    while (k--)
        if (index(group, " " (r + k) " ")) {
            print name, at[i], code[i]
            bad++
            return
        }
}

# flight[first .. last]: groups that may not have read theirs yet; open: one that is being put together.
function walk(    i, k, r, op, t, taken, flight, first, last, open) {
    first = 1
    open = " "
    for (i = 1; i <= n; i++) {
        if (code[i] ~ /HGMMA[^ ]* R[0-9]+, R[0-9]+, gdesc/) {
            r = number(code[i], ".*HGMMA[^ ]* R[0-9]+, R")
            for (k = 0; k < 4; k++)
                open = open (r + k) " "
            if (code[i] ~ /gsb0/) {
                flight[++last] = open
                open = " "
                groups++
            }
        }
        if (code[i] ~ /WARPGROUP.DEPBAR.LE gsb0, 0x/)
            for (k = number(code[i], ".*gsb0, 0x"); last - first + 1 > k; first++)
                delete flight[first]
        op = code[i]
        sub(/^@!?U?P[0-9T]+ /, "", op)
        if (op ~ /^[A-Z][A-Z0-9_.]* R[0-9]+/ && op !~ /^(ST|RED|HGMMA|SYNCS)/) {
            r = number(op, "^[^ ]* R")
            for (t = first; t <= last; t++)
                report(i, r, width(op), flight[t])
            report(i, r, width(op), open)
        }
        if (match(code[i], /BRA 0x[0-9a-f]+/)) {
            t = line[substr(code[i], RSTART + 6, RLENGTH - 6)]
            if (t && t <= i && !taken[i]) {
                taken[i] = 1
                i = t - 1
            }
        }
    }
}

function out() {
    walk()
    n = 0
    delete line
}

/Function :/ {
    out()
    name = $NF
}
/^ +\/\*[0-9a-f]+\*\/ / {
    code[++n] = $0
    sub(/^ *\/\*[0-9a-f]+\*\/ +/, "", code[n])
    sub(/;.*/, "", code[n])
    at[n] = $1
    gsub(/[\/*]/, "", at[n])
    sub(/^0+/, "", at[n])
    line[at[n]] = n
}
END {
    out()
    print groups + 0, bad + 0
    exit bad > 0
}
