#include "explorer/studies.hpp"

#include <algorithm>

#include "predictor/evaluation.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

std::vector<StudySubject> zoo_subjects() {
  std::vector<StudySubject> subjects;
  for (const ZooEntry& entry : zoo())
    subjects.push_back({{entry.name, entry.family}, entry.build()});
  return subjects;
}

}  // namespace

StudyPlan correlation_study(const StudyContext& context) {
  StudyPlan plan;
  plan.name = "correlation";
  plan.label_columns = {{"network", ""}, {"family", ""}};
  plan.subjects = zoo_subjects();
  if (context.predict_ms) {
    plan.reference_columns = {{"predicted", "ms"}};
    for (StudySubject& subject : plan.subjects)
      subject.references = {context.predict_ms(subject.network)};
  }
  plan.conclude = [](Rows rows, Study& study) {
    std::vector<double> ms;
    std::vector<double> mac_counts;
    std::vector<double> param_counts;
    std::vector<double> predicted;
    for (const StudyRow& row : rows) {
      ms.push_back(row.ms.value);
      mac_counts.push_back(static_cast<double>(row.macs));
      param_counts.push_back(static_cast<double>(params(row.subject->network)));
      if (!row.subject->references.empty()) predicted.push_back(*row.subject->references[0]);
    }
    const double by_macs = spearman(ms, mac_counts);
    const double by_params = spearman(ms, param_counts);
    add(study, "macs_spearman", by_macs);
    add(study, "macs_p", spearman_p(by_macs, ms.size()));
    add(study, "params_spearman", by_params);
    add(study, "params_p", spearman_p(by_params, ms.size()));
    if (!predicted.empty() && !study.predicted)
      add(study, "predicted_spearman", spearman(ms, predicted));
    study.holds = by_macs < 0.9;
  };
  return plan;
}

StudyPlan mac_efficiency_study() {
  StudyPlan plan;
  plan.name = "mac-efficiency";
  plan.label_columns = {{"network", ""}, {"family", ""}};
  plan.subjects = zoo_subjects();
  plan.conclude = [](Rows rows, Study& study) {
    double fasternet = 0;
    double depthwise_nets = 0;
    int fasternets = 0;
    int others = 0;
    for (const StudyRow& row : rows) {
      const std::string family = row.subject->labels[1].get<std::string>();
      const bool is_fasternet = family == "FasterNet";
      const bool is_mobile =
          family.rfind("MobileNet", 0) == 0 || family == "ShuffleNetV2" || family == "GhostNet";
      (is_fasternet ? fasternet : depthwise_nets) += is_fasternet || is_mobile ? row.gmacps : 0;
      fasternets += is_fasternet;
      others += is_mobile;
    }
    fasternet /= std::max(fasternets, 1);
    depthwise_nets /= std::max(others, 1);
    add(study, "fasternet_gmacps", fasternet);
    add(study, "depthwise_networks_gmacps", depthwise_nets);
    study.holds = fasternet > depthwise_nets;
  };
  return plan;
}

StudyPlan threads_study(const StudyContext& context) {
  StudyPlan plan;
  plan.name = "threads";
  plan.label_columns = {{"subject", ""}, {"threads", ""}};
  std::vector<std::pair<std::string, Network>> subjects;
  subjects.emplace_back("conv 3x3 128x28²",
                        stacked(128, 28, 4, [](NetworkBuilder& b, int x, const std::string& name) {
                          return b.conv2d(x, name, {.out_channels = 128, .kernel = 3});
                        }));
  subjects.emplace_back("depthwise 384x14²",
                        stacked(384, 14, 4, [](NetworkBuilder& b, int x, const std::string& name) {
                          return b.depthwise(x, name, {.kernel = 3});
                        }));
  subjects.emplace_back("pointwise 512x7²",
                        stacked(512, 7, 4, [](NetworkBuilder& b, int x, const std::string& name) {
                          return b.conv2d(x, name, {.out_channels = 512});
                        }));
  for (const char* net : {"b0", "b1", "b3", "mobilenetv2-100", "fasternet-t1"})
    subjects.emplace_back(net, find_network(net));
  for (const auto& [label, network] : subjects) {
    const int base = static_cast<int>(plan.subjects.size());
    for (int threads = 1; threads <= std::max(1, context.threads); threads *= 2)
      plan.subjects.push_back({{label, threads}, network, threads == 1 ? -1 : base, {}, threads});
  }
  return plan;
}

}  // namespace cpubone
