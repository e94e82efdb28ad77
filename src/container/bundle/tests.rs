use super::*;
use crate::sys::fd::CWD;

fn store(test: &str) -> (std::path::PathBuf, Fd) {
    let path = std::env::temp_dir().join(std::format!("vial-bundle-{test}-{}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let root = file::open(CWD, file::path(path.to_str().unwrap()).unwrap(), libc::O_RDONLY).unwrap();
    (path, root)
}

#[test]
fn a_container_is_found_by_name_id_and_unique_beginning_until_it_is_removed() {
    let (path, root) = store("find");
    let bundles = Bundles::open(root.by_ref()).unwrap();
    let bundle = bundles.create("web").unwrap();
    let expected = (bundle.id, "web");
    for wanted in ["web", bundle.id, &bundle.id[..5]] {
        assert_eq!(bundles.find(wanted).unwrap(), expected, "{wanted}");
    }
    assert!(bundles.find("").is_err() && bundles.find("we").is_err());
    let taken = bundles.create("web").err().unwrap().to_string();
    assert!(taken.contains("the name web is in use"), "{taken}");
    assert_eq!(bundles.list().unwrap().len(), 1, "the failed creation left nothing");
    bundles.remove(bundle.id, "web").unwrap();
    assert!(bundles.find("web").unwrap_err().to_string().contains("no such container: web"));
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn the_lock_tells_whether_a_process_owns_the_container() {
    let (path, root) = store("lock");
    let bundles = Bundles::open(root.by_ref()).unwrap();
    let bundle = bundles.create("").unwrap();
    assert!(bundles.look(bundle.id).unwrap().unwrap().1);
    assert!(!bundles.take(bundle.id).unwrap().unwrap().1);
    let id = bundle.id;
    drop(bundle);
    let reader = bundles.look(id).unwrap().unwrap();
    assert!(!reader.1 && !bundles.look(id).unwrap().unwrap().1, "many may look at once");
    drop(reader);
    let taken = bundles.take(id).unwrap().unwrap();
    assert!(taken.1);
    bundles.remove(id, "").unwrap();
    assert!(bundles.look(id).unwrap().is_none() && bundles.take(id).unwrap().is_none());
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_name_whose_container_is_gone_is_free_and_a_name_is_taken_from_its_own_container_only() {
    let (path, root) = store("names");
    let bundles = Bundles::open(root.by_ref()).unwrap();
    let first = bundles.create("web").unwrap();
    std::fs::remove_dir_all(path.join("containers").join(first.id)).unwrap();
    assert_eq!(bundles.survey().unwrap(), (&[][..], &[("web", first.id)][..]));
    let second = bundles.create("web").unwrap();
    bundles.give_back("web", first.id).unwrap();
    assert_eq!(bundles.find("web").unwrap().0, second.id);
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_damaged_state_file_is_named_in_the_error() {
    let (path, root) = store("damaged");
    let bundle = Bundles::open(root.by_ref()).unwrap().create("").unwrap();
    assert_eq!(read_json(bundle.directory.by_ref(), c"state.json").unwrap(), None);
    bundle.write(c"state.json", "{\"pid\":").unwrap();
    let error = read_json(bundle.directory.by_ref(), c"state.json").unwrap_err().to_string();
    assert!(error.contains("state.json"), "{error}");
    std::fs::remove_dir_all(path).unwrap();
}
