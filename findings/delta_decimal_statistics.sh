#!/bin/sh
# A Delta table keeps the least and the greatest value of each column for each file. For decimals deltalake writes them as
# JSON numbers, which are read back as doubles. Its own pyarrow dataset skips files by them, and does not find a row by its own
# value, where that has more digits than a double: no error, just no row. Polars, on the same table, finds it.
. "$(dirname "$0")/common.sh"
install deltalake==1.6.6 pyarrow==26.0.1 polars==2.1.0
env/bin/python - <<'PYTHON'
import json, pathlib, sys
from decimal import Decimal
from importlib.metadata import version
import deltalake, polars, pyarrow
import pyarrow.dataset as dataset

print(*(f"{name} {version(name)}" for name in ("deltalake", "pyarrow", "polars")))
value = Decimal("12345678901234567890.123456789012345678")
kind = pyarrow.decimal128(38, 18)
for one in (value, Decimal(1)):
    deltalake.write_deltalake("table", pyarrow.table({"money": pyarrow.array([one], kind)}), mode="append")
log = min(pathlib.Path("table/_delta_log").glob("*.json"))
(added,) = (json.loads(line)["add"] for line in log.read_text().splitlines() if "add" in json.loads(line))
print("statistics:", added["stats"])
table = deltalake.DeltaTable("table")
rows = table.to_pyarrow_dataset()
all_of_them = rows.to_table().column("money").to_pylist()
by_arrow = rows.to_table(filter=dataset.field("money") == pyarrow.scalar(value, kind)).num_rows
by_polars = polars.scan_delta("table").filter(polars.col("money") == value).collect().height
print("in the table:", all_of_them, "found by value: pyarrow", by_arrow, "polars", by_polars)
sys.exit(0 if value in all_of_them and by_arrow == 0 and by_polars == 1 else 1)
PYTHON
