"""The data that the conformance test walks is complete, and the page that is made from it true.

The reference itself stands outside of this repository, so its members are named here once more: who
drops one from the data has to drop it here as well.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import support

SCRIPT = support.REPOSITORY / "scripts/api_reference.py"
DATA = tomllib.loads(
    (support.REPOSITORY / "template/tests/chassis/reference.toml").read_text("utf-8")
)

HEALTH = """
KiemTraSucKhoe timeout mau_lich_su
dang_ky_check ten ham mo_ta quan_trong
kiem_tra trang_thai chi_tiet trang_thai quan_trong mo_ta
he_thong cpu_load_1m memory_total_mb memory_available_mb memory_usage_pct disk_total_gb disk_free_gb
python_version pid thoi_gian_ms uptime_s
ready live dang_ky_checks_mac_dinh model lich_su ty_le_healthy
"""
BREAKER = """
MachCat so_loi_toi_da timeout_phuc_hoi cua_so_thoi_gian ham_fallback ten
cho_phep ghi_nhan_thanh_cong ghi_nhan_loi thuc_hien ham *args **kwargs with_circuit reset
lay_thong_ke trang_thai tong_request thanh_cong that_bai bi_chan fallback chuyen_trang_thai
ty_le_thanh_cong ty_le_that_bai
TrangThaiMach dong mo nua_mo RuntimeError
"""
LOGGER = """
LoggerCauTruc ten cap_do output context_mac_dinh
debug msg data info msg data warning msg data
error msg data exc_info critical msg data exc_info
do_thoi_gian operation them_context **kwargs xoa_context
log_request request_id method path status time_ms
log_prediction model_name input_size time_ms confidence
log_model_event event model_name **kwargs thong_ke
"""
METRICS = """
QuanLyMetrics namespace
counter ten labels gia_tri gauge ten gia_tri labels histogram ten gia_tri labels timer ten labels
lay_counter ten labels lay_gauge ten labels
lay_histogram_stats ten labels count mean std min max p50 p90 p95 p99
export_prometheus export_json counters gauges histograms uptime_s reset thong_ke
"""
WARM_UP = """
LamNongModel tu_dong_lam_nong thoi_gian_refresh so_lan_warmup
dang_ky_model ten model du_lieu_mau ham_du_doan tu_dong_refresh
lam_nong ten ten thoi_gian_ms so_lan trang_thai loi lam_nong_tat_ca lay_model ten
bat_dau_auto_refresh dung_auto_refresh xoa_model ten trang_thai_model ten danh_sach_models
thong_ke so_models da_warmup chua_warmup tong_thoi_gian_warmup_ms tu_dong_lam_nong auto_refresh
"""
AVAILABILITY = """
AvailabilityChangeEvent.publish(context,_LivenessState.BROKEN)
LivenessState CORRECT BROKEN ReadinessState ACCEPTING_TRAFFIC REFUSING_TRAFFIC
/actuator/health status groups /actuator/health/liveness status /actuator/health/readiness status
management.health.probes.enabled
"""
SECTIONS = [HEALTH, BREAKER, LOGGER, METRICS, WARM_UP, AVAILABILITY]


def sources(data: object) -> Iterator[str]:
    """Every name of the source below here."""
    if isinstance(data, Mapping):
        if "source" in data:
            yield data["source"].replace(" ", "_")
        data = list(data.values())
    if isinstance(data, list):
        for one in data:
            yield from sources(one)


@pytest.mark.parametrize("number", range(1, 7))
def test_each_section_has_all_its_members(number: int) -> None:
    """Class, parameters, methods and fields of the reference: none is missing, none is invented."""
    entries: list[Any] = [
        entry for kind in DATA.values() for entry in kind if entry["section"] == number
    ]

    assert sorted(sources(entries)) == sorted(SECTIONS[number - 1].split())


def test_the_page_is_what_the_data_says() -> None:
    """docs/reference.md is made from the data that the generated service's test walks."""
    done = support.run([sys.executable, SCRIPT, "--check"], support.REPOSITORY, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
