using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Autograd;
using Spectral.Training.Data;
using Spectral.Training.Generation;
using Spectral.Training.Models;
using Spectral.Training.Optim;
using Spectral.Training.Tokenization;

public static class CustomLoop
{
    public static float Train(string modelDirectory, string dataFile, string adapterDirectory, int steps)
    {
        using var device = Device.Best(); // a GPU, else the CPU device
        using var folder = ModelFolder.Open(modelDirectory); // config and weights are checked here
        using var model = CausalLanguageModel.Load(folder, device, DType.F32);
        var tokenizer = BpeTokenizer.Load(modelDirectory);
        EncodedRecord[] records = RecordEncoder.EncodeAll(
            RecordReader.Load(dataFile),
            tokenizer,
            model.Config.EosTokenIds,
            maximumLength: 256
        );

        using var adapter = Adapter.Attach(
            model,
            AdapterMethods.Find("speclora"),
            new AdapterOptions { Rank = 4, TopK = 4 }
        );
        using AdamWOptimizer optimizer = new(adapter.Parameters, new AdamWOptions { GradientClip = 1 });
        LearningRateSchedule schedule = new(ScheduleKind.Cosine, Rate: 5e-3, steps, Warmup: 2);
        BatchSampler sampler = new(records.Length, batch: 4, seed: 0, shuffle: true);

        float mean = 0;
        for (int step = 1; step <= steps; step++)
        {
            EncodedRecord[] chosen = [.. sampler.Next().Select(index => records[index])];
            using BatchTensors batch = new(device, Batch.Create(chosen));
            using Tape tape = new(device);
            float scale = 1f / batch.Source.LossTokens; // several batches per step: 1 / their loss tokens together

            using Tensor loss = model.Loss(tape, batch, scale); // forward: the sum of the token losses
            tape.Backward(); // adds to the gradients of adapter.Parameters
            StepResult result = optimizer.Step(schedule.At(step)); // measures, clips, updates, clears the gradients

            mean = loss.ToArray()[0] * scale;
            Console.WriteLine($"step {step}: loss {mean:F4}, gradient norm {result.GradientNorm:F4}");
        }

        adapter.Save(adapterDirectory); // PEFT layout
        GeneratedText text = TextGenerator.Generate(model, tokenizer, "a", new GenerationOptions { MaxTokens = 8 });
        Console.WriteLine(text.Text);
        return mean;
    }
}
