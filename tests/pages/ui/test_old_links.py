"""Where addresses of earlier versions lead."""

from pages.ui.old_links import new_address


def test_the_workspace_page_is_data_and_jobs_with_its_parameters():
    assert new_address("workspace", "") == "./data"
    assert new_address("workspace", "model=head-moco") == "./data?model=head-moco"


def test_studies_of_brittleness_are_a_part_of_data_and_jobs():
    assert new_address("brittleness", "view=studies") == "./data?part=studies"
    assert new_address("brittleness", "view=studies&job=7&model=mine") == "./data?part=studies&job=7&model=mine"


def test_what_is_no_old_address_leads_nowhere():
    assert new_address("data", "part=jobs") is None
