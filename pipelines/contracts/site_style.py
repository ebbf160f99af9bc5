"""How the pages of contracts look: the few classes that Great Expectations' templates use, without Bootstrap."""

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1.5rem; color: #222; }
h1 { font-size: 1.5rem; } h4 { font-size: 1.25rem; margin: .5rem 0; } h5 { font-size: 1.1rem; } h6 { font-size: 1rem; }
h5, h6, .m-0 { margin: 0; } a { color: #0b57a4; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #ddd; }
.table-sm { width: auto; } td { overflow-wrap: anywhere; } td:first-child { white-space: nowrap; }
.alert { background: #f1f3f5; border-left: 4px solid #868e96; padding: .6rem .8rem; margin: 1.2rem 0 .4rem; }
.badge { background: #e3e8ee; border-radius: .25rem; padding: .05rem .35rem; font-family: ui-monospace, monospace;
  font-size: .85em; overflow-wrap: anywhere; }
.text-success, .holds { color: #1a7f37; } .text-danger, .broken { color: #b42318; } .warnings { color: #9a6700; }
.holds, .broken, .warnings { font-weight: 600; }
.fa-check-circle::before { content: "\\2714"; } .fa-times::before { content: "\\2718"; }
.fa-exclamation-triangle::before { content: "\\26A0"; } i { font-style: normal; }
.sticky, .ge-navigation-sidebar-container, .top { display: none; }
@media (prefers-color-scheme: dark) {
  body { background: #16181b; color: #e6e6e6; } a { color: #7db7f0; } .alert { background: #24282d; }
  .badge { background: #343a41; } th, td { border-color: #3a3f45; }
  .text-success, .holds { color: #56d364; } .text-danger, .broken { color: #ff7b72; } .warnings { color: #d29922; }
}
"""
