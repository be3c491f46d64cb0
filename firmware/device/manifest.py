"""Files to freeze into a band's image. The desktop board and its links are left out on purpose."""
# ruff: noqa: F821  (package and module are the build's own words)

package("bandwire", base_path="../shared")
package(
    "band",
    files=(
        "__init__.py",
        "aes.py",
        "app.py",
        "applet.py",
        "auth.py",
        "battery.py",
        "board.py",
        "boards/__init__.py",
        "boards/esp32.py",
        "card.py",
        "charging.py",
        "entropy.py",
        "errors.py",
        "filecmds.py",
        "fileflash.py",
        "info.py",
        "iso.py",
        "keycmds.py",
        "loop.py",
        "nfc.py",
        "replies.py",
        "sdmread.py",
        "store.py",
    ),
)
module("boot.py")
module("main.py")
