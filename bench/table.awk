# SPDX-License-Identifier: MIT
#
# Reads "round contender row value unit" and "round contender ! reason", for one scenario at one
# maxprocs. Prints the table's rows, and appends the same to the file json.
# Variables: scenario, procs, contenders (in order), format (of a row), json, separator.

$3 == "!" {
    contender = $2
    round = $1
    sub(/^[^!]*! /, "")
    failed[contender] = "failed in round " round ": " $0
    next
}

{
    if (!($3 in unit))
        rows[++row_count] = $3
    unit[$3] = $5
    values[$3, $2] = values[$3, $2] " " $4
}

END {
    count = split(contenders, order, " ")
    for (i = 1; i <= count; i++)
        if (order[i] in failed)
            failure(order[i], failed[order[i]])
    for (r = 1; r <= row_count; r++) {
        row = rows[r]
        base = "weft" in failed ? 0 : median(values[row, "weft"])
        for (i = 1; i <= count; i++)
            if (!(order[i] in failed) && values[row, order[i]] != "")
                result(row, order[i], values[row, order[i]], base)
    }
}

function failure(contender, text) {
    printf "%-20s %2s  %-9s %s\n", scenario, procs, contender, text
    gsub(/[\\"]/, "\\\\&", text)
    printf "%s\n    {\"row\": \"%s\", \"maxprocs\": %d, \"contender\": \"%s\", \"failed\": \"%s\"}",
        separator, scenario, procs, contender, text >> json
    separator = ","
}

function result(row, contender, list, base,    middle, ratio) {
    middle = median(list) # sets least, too
    ratio = base > 0 ? sprintf("%.2f", middle / base) : "-"
    printf format, row, procs, contender, figure(least), figure(middle), ratio, unit[row]
    sub(/^ /, "", list)
    gsub(/ /, ", ", list)
    printf "%s\n    {\"row\": \"%s\", \"maxprocs\": %d, \"contender\": \"%s\", \"unit\": \"%s\", ",
        separator, row, procs, contender, unit[row] >> json
    printf "\"min\": %s, \"median\": %s, \"ratio\": %s, \"values\": [%s]}",
        least, middle, ratio == "-" ? "null" : ratio, list >> json
    separator = ","
}

function figure(x) {
    return sprintf(x < 10 ? "%.2f" : x < 1000 ? "%.1f" : "%.0f", x)
}

function median(list,    n, i, j, x, sorted) {
    n = split(list, sorted, " ")
    for (i = 2; i <= n; i++) {
        x = sorted[i] + 0
        for (j = i - 1; j >= 1 && sorted[j] + 0 > x; j--)
            sorted[j + 1] = sorted[j]
        sorted[j + 1] = x
    }
    least = sorted[1] + 0
    return n % 2 ? sorted[(n + 1) / 2] + 0 : (sorted[n / 2] + sorted[n / 2 + 1]) / 2
}
