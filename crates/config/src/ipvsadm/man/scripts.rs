//! The manual pages of ipvsadm-save and ipvsadm-restore.

use super::prose::FILES;
use crate::roff;

fn files() -> String {
    let mut page = roff::section("FILES");
    for (file, meaning) in FILES.iter().take(3) {
        page += &roff::entry(file, meaning);
    }
    page
}

/// ipvsadm-save(8).
pub fn save_page() -> String {
    let mut page = roff::head("ipvsadm-save", "print the table of virtual services as rules");
    page += &roff::section("SYNOPSIS");
    page += &roff::text(&["`ipvsadm-save` [`-n`]"]);
    page += &roff::section("DESCRIPTION");
    page += &roff::text(&[
        "Prints to standard output the command lines of `ipvsadm`(8) that make the table of virtual services of the present \
         network namespace, one a line, without the name of the program. `ipvsadm-restore`(8) reads them.",
        "The order is that of a listing, so that two saves of the same table are equal. Thresholds, timeouts, counters and \
         connections are not part of the format.",
    ]);
    page += &roff::section("OPTIONS");
    page += &roff::entry(
        "`-n`, `--numeric`",
        &["Addresses and ports as numbers. Without it names are looked up, which \
        takes as long as the resolver takes, and a table saved by names restores to what the names mean then."],
    );
    page += &roff::entry("`-h`, `--help`", &["A summary."]);
    page += &files();
    page += &roff::section("EXIT STATUS");
    page += &roff::entry("0", &["The table was printed; an empty one prints nothing."]);
    page += &roff::entry("1", &["The table cannot be read, or the output not written."]);
    page += &roff::entry("2", &["Wrong arguments, missing privileges, or a kernel that is too old."]);
    page += &roff::section("EXAMPLES");
    page += &roff::example("ipvsadm-save -n > /etc/ipvsadm.rules");
    page += &roff::text(&["To keep the table over a reboot, enable `ipvsadm.service`, which does this by itself."]);
    roff::finished(&(page + &roff::see_also(&["ipvsadm", "ipvsadm-restore", "rvs"])))
}

/// ipvsadm-restore(8).
pub fn restore_page() -> String {
    let mut page = roff::head("ipvsadm-restore", "replace the table of virtual services by saved rules");
    page += &roff::section("SYNOPSIS");
    page += &roff::text(&["`ipvsadm-restore <` <file>"]);
    page += &roff::section("DESCRIPTION");
    page += &roff::text(&[
        "Reads rules from standard input, one a line, as `ipvsadm-save`(8) prints them, and puts them in the place of the \
         table of virtual services of the present network namespace.",
        "The table is replaced in one step: a packet meets the old table or the new one. When a line cannot be read or a \
         rule is refused, the error names its line and the table stays as it was. IPVS clears the table first and leaves a \
         part of the rules when it meets an error.",
        "Empty lines and lines that begin with `#` are skipped. The name of the program may stand first on a line.",
        "`ipvsadm -R` adds the rules to the table instead, also all or none.",
    ]);
    page += &roff::section("OPTIONS");
    page += &roff::entry("`-h`, `--help`", &["A summary."]);
    page += &files();
    page += &roff::section("EXIT STATUS");
    page += &roff::entry("0", &["The table is that of the rules."]);
    page += &roff::entry(
        "2",
        &["Wrong arguments, a rule that makes no sense, missing privileges, or a kernel that is too \
        old. The table is as it was."],
    );
    page += &roff::entry("255", &["A rule cannot be read or is refused. The table is as it was."]);
    page += &roff::section("EXAMPLES");
    page += &roff::example("ipvsadm-restore < /etc/ipvsadm.rules");
    roff::finished(&(page + &roff::see_also(&["ipvsadm", "ipvsadm-save", "rvs"])))
}
