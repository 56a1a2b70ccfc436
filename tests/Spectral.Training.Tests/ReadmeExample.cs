using Spectral.Kernels;
using Spectral.Training;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

public static class ReadmeExample
{
    public static TrainingResult Run(string modelPath, string dataPath, string adapterPath, int steps)
    {
        using var device = Device.Best(); // a GPU, else the CPU device
        using var folder = ModelFolder.Open(modelPath);
        using var model = CausalLanguageModel.Load(folder, device, DType.F32);
        var tokenizer = BpeTokenizer.Load(modelPath);
        IReadOnlyList<TrainingRecord> data = RecordReader.Load(dataPath);
        EncodedRecord[] records = RecordEncoder.EncodeAll(data, tokenizer, model.Config.EosTokenIds, 256);

        using var adapter = Adapter.Attach(model, AdapterMethods.Find("speclora"), new AdapterOptions { Rank = 16 });
        using var trainer = new Trainer(model, new TrainerOptions { Steps = steps, LearningRate = 5e-3 });
        TrainingResult result = trainer.Run(records);
        adapter.Save(adapterPath); // as PEFT lays it out
        return result;
    }
}
